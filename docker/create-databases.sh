#!/bin/sh
# Run once by the postgres image: one database for Prefect, one for the warehouse's catalog.
set -eu
createdb --username="$POSTGRES_USER" newsvane
psql --username="$POSTGRES_USER" --dbname=prefect --command='CREATE EXTENSION IF NOT EXISTS pg_trgm'
