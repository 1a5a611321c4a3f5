-- grain: one row per deposit that a witness took
-- seal_no, hash: the link of the chain that was its head then. What is proven is what the witness holds, not this.
CREATE TABLE IF NOT EXISTS deposits (
    witness      VARCHAR NOT NULL,
    seal_no      BIGINT NOT NULL,
    hash         VARCHAR NOT NULL,
    deposited_at TIMESTAMPTZ NOT NULL
);
