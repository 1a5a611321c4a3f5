-- grain: one row per landed payload and URL (body bytes live in the landing zone under payload_id)
-- payload_id: sha256 of the body as received. headers: JSON text.
CREATE TABLE IF NOT EXISTS payloads (
    payload_id VARCHAR NOT NULL,
    source     VARCHAR NOT NULL,
    url        VARCHAR NOT NULL,
    status     INTEGER NOT NULL,
    headers    VARCHAR NOT NULL,
    bytes      BIGINT NOT NULL,
    fetched_at TIMESTAMPTZ NOT NULL
);
