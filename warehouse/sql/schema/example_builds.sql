CREATE TABLE IF NOT EXISTS example_builds (
    spec_id     VARCHAR NOT NULL,
    snapshot_id BIGINT NOT NULL,
    logic       VARCHAR NOT NULL
);

COMMENT ON TABLE example_builds IS
    'One row per example specification: how far its examples have followed the warehouse.';
COMMENT ON COLUMN example_builds.spec_id IS
    'Id of the example specification (clock, label, wording, features): the hash that names it.';
COMMENT ON COLUMN example_builds.snapshot_id IS
    'Snapshot up to which all changes of the warehouse are in its examples.';
COMMENT ON COLUMN example_builds.logic IS 'Hash of the SQL that built them; other SQL means a full build.';
