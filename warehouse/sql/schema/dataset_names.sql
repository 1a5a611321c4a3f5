-- grain: one row per name that a specification gave to the data sets built from it
-- dataset_id: the data set that bears the name, the last one that was built under it.
CREATE TABLE IF NOT EXISTS dataset_names (
    name       VARCHAR NOT NULL,
    dataset_id VARCHAR NOT NULL,
    named_at   TIMESTAMPTZ NOT NULL
);
