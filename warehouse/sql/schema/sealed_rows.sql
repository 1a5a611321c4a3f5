CREATE TABLE IF NOT EXISTS sealed_rows (
    seal_no   BIGINT NOT NULL,
    subject   VARCHAR NOT NULL,
    record_id VARCHAR NOT NULL,
    row_hash  VARCHAR NOT NULL
);

COMMENT ON TABLE sealed_rows IS 'One row per sealed record.';
COMMENT ON COLUMN sealed_rows.seal_no IS 'Seal that covers the record, as in seals.';
COMMENT ON COLUMN sealed_rows.subject IS 'prediction, payload, dataset, model or look.';
COMMENT ON COLUMN sealed_rows.record_id IS 'Key of the record in its own table.';
COMMENT ON COLUMN sealed_rows.row_hash IS 'sha256 in hex of the record''s content when it was sealed.';
