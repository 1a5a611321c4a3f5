CREATE TABLE IF NOT EXISTS seals (
    seal_no      BIGINT NOT NULL,
    rows         BIGINT NOT NULL,
    content_hash VARCHAR NOT NULL,
    prev_hash    VARCHAR NOT NULL,
    hash         VARCHAR NOT NULL,
    sealed_at    TIMESTAMPTZ NOT NULL
);

COMMENT ON TABLE seals IS
    'One row per seal: one link of the hash chain over what must never change. A changed row breaks its own '
    'seal and a changed seal every later one.';
COMMENT ON COLUMN seals.seal_no IS 'Number of the seal, from 1.';
COMMENT ON COLUMN seals.rows IS 'Number of records it covers.';
COMMENT ON COLUMN seals.content_hash IS 'sha256 in hex over the hashes of its records, in order.';
COMMENT ON COLUMN seals.prev_hash IS 'Hash of the seal before; empty for the first.';
COMMENT ON COLUMN seals.hash IS 'sha256 in hex over prev_hash, content_hash, rows and sealed_at.';
COMMENT ON COLUMN seals.sealed_at IS 'UTC instant of the seal.';
