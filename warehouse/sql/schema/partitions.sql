-- grain: one row per source, key and requested range (the ledger of requests and their outcomes)
-- state: done | partial (something is missing) | empty (rightly nothing: before a listing, no session) |
-- failed. range_start and range_end are inclusive exchange dates. rows: kept. expected, received: sessions
-- of prices (a quarantined bar is received), items of a feed's document. missing: expected sessions that
-- never came; NULL where sessions are not counted. retry_at: a partial or empty range is asked again from
-- then on; NULL: never. A failed range is asked again by every run that wants it.
CREATE TABLE IF NOT EXISTS partitions (
    source       VARCHAR NOT NULL,
    key          VARCHAR NOT NULL,
    range_start  DATE NOT NULL,
    range_end    DATE NOT NULL,
    state        VARCHAR NOT NULL,
    attempts     INTEGER NOT NULL,
    rows         BIGINT NOT NULL,
    expected     BIGINT,
    received     BIGINT,
    missing      DATE[],
    payload_id   VARCHAR,
    error        VARCHAR,
    retry_at     TIMESTAMPTZ,
    updated_at   TIMESTAMPTZ NOT NULL
);
