-- grain: one row per rejected record and reason
-- kind: bar | action | headline | feature | payload | example | membership. record: JSON text of what was rejected.
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
