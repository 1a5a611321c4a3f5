CREATE TABLE IF NOT EXISTS quarantine (
    quarantine_id  VARCHAR NOT NULL,
    kind           VARCHAR NOT NULL,
    source         VARCHAR NOT NULL,
    key            VARCHAR NOT NULL,
    reason         VARCHAR NOT NULL,
    record         VARCHAR NOT NULL,
    payload_id     VARCHAR,
    quarantined_at TIMESTAMPTZ NOT NULL
);

COMMENT ON TABLE quarantine IS 'One row per rejected record and reason.';
COMMENT ON COLUMN quarantine.quarantine_id IS
    'Hash in hex of kind, source, key, reason and record: rejected again, it is the same row.';
COMMENT ON COLUMN quarantine.kind IS 'bar, action, headline, feature, payload, example or membership.';
COMMENT ON COLUMN quarantine.source IS 'Vendor, feed or archive that the record came from.';
COMMENT ON COLUMN quarantine.key IS
    'What the record is about: a ticker, TICKER@SESSION, a line of a file, or * for all.';
COMMENT ON COLUMN quarantine.reason IS 'Why it was rejected, in words.';
COMMENT ON COLUMN quarantine.record IS 'What was rejected, as JSON text.';
COMMENT ON COLUMN quarantine.payload_id IS
    'sha256 in hex of the answer or file that it was read from; NULL where there is none.';
COMMENT ON COLUMN quarantine.quarantined_at IS 'UTC instant of the rejection.';
