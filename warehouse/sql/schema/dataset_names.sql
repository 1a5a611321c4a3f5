CREATE TABLE IF NOT EXISTS dataset_names (
    name       VARCHAR NOT NULL,
    dataset_id VARCHAR NOT NULL,
    named_at   TIMESTAMPTZ NOT NULL
);

COMMENT ON TABLE dataset_names IS
    'One row per name that a specification gave to the data sets built from it.';
COMMENT ON COLUMN dataset_names.name IS 'The name, as dataset.name has it.';
COMMENT ON COLUMN dataset_names.dataset_id IS
    'Data set that bears the name: the last one that was built under it.';
COMMENT ON COLUMN dataset_names.named_at IS 'UTC instant at which it got the name.';
