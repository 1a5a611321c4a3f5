#!/bin/sh
# Run once by the postgres image: a database for Prefect and one for the warehouse's catalog, each with a
# role of its own that owns it and nothing else. A superuser's role would read the server's files.
set -eu
psql --username="$POSTGRES_USER" --dbname=postgres --no-psqlrc --quiet \
    --set=ON_ERROR_STOP=1 --set=password="$DATABASE_PASSWORD" <<'SQL'
CREATE ROLE newsvane LOGIN PASSWORD :'password';
CREATE ROLE prefect LOGIN PASSWORD :'password';
CREATE DATABASE newsvane OWNER newsvane;
CREATE DATABASE prefect OWNER prefect;
REVOKE ALL ON DATABASE newsvane, prefect FROM PUBLIC;
\connect prefect
CREATE EXTENSION IF NOT EXISTS pg_trgm;
SQL
