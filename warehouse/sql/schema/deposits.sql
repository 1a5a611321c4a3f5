CREATE TABLE IF NOT EXISTS deposits (
    witness      VARCHAR NOT NULL,
    seal_no      BIGINT NOT NULL,
    hash         VARCHAR NOT NULL,
    deposited_at TIMESTAMPTZ NOT NULL
);

COMMENT ON TABLE deposits IS
    'One row per deposit that a witness took. What is proven is what the witness holds, not this table.';
COMMENT ON COLUMN deposits.witness IS 'Name of the witness in the configuration.';
COMMENT ON COLUMN deposits.seal_no IS 'Number of the seal that was the head of the hash chain then.';
COMMENT ON COLUMN deposits.hash IS 'Hash of that seal, in hex.';
COMMENT ON COLUMN deposits.deposited_at IS 'UTC instant of the deposit by this machine''s clock.';
