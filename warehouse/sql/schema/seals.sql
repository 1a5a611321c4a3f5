-- grain: one row per seal (one link of the hash chain over what must never change)
-- content_hash covers the row hashes of the seal in order; hash covers prev_hash, content_hash, the number
-- of rows and sealed_at, so that a changed row breaks its own seal and a changed seal every later one.
CREATE TABLE IF NOT EXISTS seals (
    seal_no      BIGINT NOT NULL,
    rows         BIGINT NOT NULL,
    content_hash VARCHAR NOT NULL,
    prev_hash    VARCHAR NOT NULL,
    hash         VARCHAR NOT NULL,
    sealed_at    TIMESTAMPTZ NOT NULL
);
