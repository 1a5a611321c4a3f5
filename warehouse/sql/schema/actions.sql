-- grain: one row per ticker, ex-date and kind (the latest vintage)
-- kind: split | dividend. value: new shares per old share for a split; currency per share for a dividend.
-- `basis_date` says which share basis a dividend is quoted in, as in bars; a split has basis_date = ex_date.
CREATE TABLE IF NOT EXISTS actions (
    ticker      VARCHAR NOT NULL,
    ex_date     DATE NOT NULL,
    kind        VARCHAR NOT NULL,
    value       DOUBLE NOT NULL,
    basis_date  DATE NOT NULL,
    source      VARCHAR NOT NULL,
    payload_id  VARCHAR NOT NULL,
    recorded_at TIMESTAMPTZ NOT NULL,
    vintage     INTEGER NOT NULL
);
