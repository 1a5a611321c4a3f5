-- grain: one row per ticker, ex-date and kind
-- value: new shares per old share for a split; currency per share (as quoted) for a dividend.
CREATE TABLE IF NOT EXISTS actions (
    ticker      VARCHAR NOT NULL,
    ex_date     DATE NOT NULL,
    kind        VARCHAR NOT NULL,
    value       DOUBLE NOT NULL,
    source      VARCHAR NOT NULL,
    payload_id  VARCHAR NOT NULL,
    recorded_at TIMESTAMPTZ NOT NULL
);
