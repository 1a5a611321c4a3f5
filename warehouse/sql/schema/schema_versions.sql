CREATE TABLE IF NOT EXISTS schema_versions (
    version INTEGER NOT NULL,
    name    VARCHAR NOT NULL,
    sha256  VARCHAR NOT NULL
);

COMMENT ON TABLE schema_versions IS 'One row per schema migration that this warehouse has been through.';
COMMENT ON COLUMN schema_versions.version IS 'Number of the migration, from 1.';
COMMENT ON COLUMN schema_versions.name IS 'Name of the migration.';
COMMENT ON COLUMN schema_versions.sha256 IS
    'Hash in hex of the migration''s file, so that one edited after the fact is noticed.';
