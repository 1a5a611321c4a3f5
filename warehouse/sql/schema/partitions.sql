-- grain: one row per source, key and requested range (the ledger of requests and their outcomes)
-- state: done | failed. range_start and range_end are inclusive exchange dates.
CREATE TABLE IF NOT EXISTS partitions (
    source       VARCHAR NOT NULL,
    key          VARCHAR NOT NULL,
    range_start  DATE NOT NULL,
    range_end    DATE NOT NULL,
    state        VARCHAR NOT NULL,
    attempts     INTEGER NOT NULL,
    rows         BIGINT NOT NULL,
    payload_id   VARCHAR,
    error        VARCHAR,
    updated_at   TIMESTAMPTZ NOT NULL
);
