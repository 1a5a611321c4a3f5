-- grain: one row per schema migration that this warehouse has been through
-- sha256: of the migration's file, so that one edited after the fact is noticed.
CREATE TABLE IF NOT EXISTS schema_versions (
    version INTEGER NOT NULL,
    name    VARCHAR NOT NULL,
    sha256  VARCHAR NOT NULL
);
