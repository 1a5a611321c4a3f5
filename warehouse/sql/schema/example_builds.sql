-- grain: one row per example spec
-- How far its examples have followed the warehouse: all changes up to snapshot_id are in them.
-- logic: a hash of the SQL that built them; other SQL means a full build.
CREATE TABLE IF NOT EXISTS example_builds (
    spec_id     VARCHAR NOT NULL,
    snapshot_id BIGINT NOT NULL,
    logic       VARCHAR NOT NULL
);
