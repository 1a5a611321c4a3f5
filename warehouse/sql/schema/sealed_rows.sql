-- grain: one row per sealed record
-- subject: prediction | payload | dataset | model | look; record_id is the record's key in its own table.
CREATE TABLE IF NOT EXISTS sealed_rows (
    seal_no   BIGINT NOT NULL,
    subject   VARCHAR NOT NULL,
    record_id VARCHAR NOT NULL,
    row_hash  VARCHAR NOT NULL
);
