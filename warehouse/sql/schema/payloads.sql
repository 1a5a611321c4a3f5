CREATE TABLE IF NOT EXISTS payloads (
    payload_id VARCHAR NOT NULL,
    source     VARCHAR NOT NULL,
    url        VARCHAR NOT NULL,
    status     INTEGER NOT NULL,
    headers    VARCHAR NOT NULL,
    bytes      BIGINT NOT NULL,
    fetched_at TIMESTAMPTZ NOT NULL
);

COMMENT ON TABLE payloads IS
    'One row per landed payload and URL; the bytes lie in the landing zone under payload_id.';
COMMENT ON COLUMN payloads.payload_id IS 'sha256 in hex of the body as received.';
COMMENT ON COLUMN payloads.source IS 'Vendor, feed or archive that gave it.';
COMMENT ON COLUMN payloads.url IS 'Address that it came from, secrets hidden.';
COMMENT ON COLUMN payloads.status IS 'HTTP status code; 200 for a file.';
COMMENT ON COLUMN payloads.headers IS 'Headers of the answer, as JSON text.';
COMMENT ON COLUMN payloads.bytes IS 'Size of the body, in bytes.';
COMMENT ON COLUMN payloads.fetched_at IS 'UTC instant at which it was received.';
