CREATE TABLE IF NOT EXISTS datasets (
    dataset_id  VARCHAR NOT NULL,
    spec_id     VARCHAR NOT NULL,
    spec_digest VARCHAR,
    snapshot_id BIGINT NOT NULL,
    created_at  TIMESTAMPTZ NOT NULL,
    path        VARCHAR NOT NULL,
    manifest    VARCHAR NOT NULL
);

COMMENT ON TABLE datasets IS 'One row per data set: one build of training, validation and test files.';
COMMENT ON COLUMN datasets.dataset_id IS 'Id of the data set, a hash of its specification and rows in hex.';
COMMENT ON COLUMN datasets.spec_id IS
    'Id of the example specification (clock, label, wording, features): the hash that names it.';
COMMENT ON COLUMN datasets.spec_digest IS
    'Hash of the whole specification, split included; NULL in data sets from before it was kept.';
COMMENT ON COLUMN datasets.snapshot_id IS
    'Snapshot of the warehouse that the data set was read from; kept for good.';
COMMENT ON COLUMN datasets.created_at IS 'UTC instant of the build.';
COMMENT ON COLUMN datasets.path IS 'Folder of its files, relative to the data root.';
COMMENT ON COLUMN datasets.manifest IS
    'Its manifest.json, as JSON text: specification, splits, counts and hashes of files.';
