-- grain: one row per data set
CREATE TABLE IF NOT EXISTS datasets (
    dataset_id  VARCHAR NOT NULL,
    spec_id     VARCHAR NOT NULL,
    snapshot_id BIGINT NOT NULL,
    created_at  TIMESTAMPTZ NOT NULL,
    path        VARCHAR NOT NULL,
    manifest    VARCHAR NOT NULL
);
