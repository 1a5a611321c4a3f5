-- grain: one row per ticker, session and source: the latest bar that each of several vendors gave
-- As quoted, as in bars. Filled where more than one vendor is configured; `bars` keeps the one value that
-- counts, and bar_comparisons sets the others beside it.
CREATE TABLE IF NOT EXISTS bar_readings (
    ticker           VARCHAR NOT NULL,
    session          DATE NOT NULL,
    open             DOUBLE NOT NULL,
    high             DOUBLE NOT NULL,
    low              DOUBLE NOT NULL,
    close            DOUBLE NOT NULL,
    volume           BIGINT NOT NULL,
    basis_date       DATE NOT NULL,
    source           VARCHAR NOT NULL,
    payload_id       VARCHAR NOT NULL,
    recorded_at      TIMESTAMPTZ NOT NULL
);
