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

COMMENT ON TABLE partitions IS
    'One row per source, key and requested range: the ledger of requests and their outcomes.';
COMMENT ON COLUMN partitions.source IS
    'Vendor, feed or archive that was asked, by its name in the configuration.';
COMMENT ON COLUMN partitions.key IS 'What was asked for: a ticker, * for all, or a file as archive:ID.';
COMMENT ON COLUMN partitions.range_start IS 'First exchange-local date of the range, inclusive.';
COMMENT ON COLUMN partitions.range_end IS 'Last exchange-local date of the range, inclusive.';
COMMENT ON COLUMN partitions.state IS
    'done, partial (something is missing), empty (rightly nothing: before a listing, no session) or failed. A '
    'failed range is asked again by every run that wants it.';
COMMENT ON COLUMN partitions.attempts IS 'How many times it was asked for.';
COMMENT ON COLUMN partitions.rows IS 'Rows of the answer that were kept.';
COMMENT ON COLUMN partitions.expected IS
    'Sessions of prices, or items of a feed''s document, that should have come; NULL where they are not '
    'counted.';
COMMENT ON COLUMN partitions.received IS
    'Of these, how many came, quarantined ones included; NULL where they are not counted.';
COMMENT ON COLUMN partitions.missing IS
    'Exchange-local dates of expected sessions that never came; NULL where sessions are not counted.';
COMMENT ON COLUMN partitions.payload_id IS 'sha256 in hex of the last answer; NULL where there was none.';
COMMENT ON COLUMN partitions.error IS 'Why it failed, in words, secrets hidden; NULL where it did not.';
COMMENT ON COLUMN partitions.retry_at IS
    'UTC instant from which a partial or empty range is asked again; NULL means never.';
COMMENT ON COLUMN partitions.updated_at IS 'UTC instant of the last attempt.';
