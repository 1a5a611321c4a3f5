-- grain: one row per data set
-- spec_digest: identity of its whole specification. snapshot_id: the warehouse it was read from.
CREATE TABLE IF NOT EXISTS datasets (
    dataset_id  VARCHAR NOT NULL,
    spec_id     VARCHAR NOT NULL,
    spec_digest VARCHAR,
    snapshot_id BIGINT NOT NULL,
    created_at  TIMESTAMPTZ NOT NULL,
    path        VARCHAR NOT NULL,
    manifest    VARCHAR NOT NULL
);
