-- grain: one row per ticker, ex-date, kind and superseded vintage
CREATE TABLE IF NOT EXISTS action_revisions (
    ticker        VARCHAR NOT NULL,
    ex_date       DATE NOT NULL,
    kind          VARCHAR NOT NULL,
    value         DOUBLE NOT NULL,
    basis_date    DATE NOT NULL,
    source        VARCHAR NOT NULL,
    payload_id    VARCHAR NOT NULL,
    recorded_at   TIMESTAMPTZ NOT NULL,
    vintage       INTEGER NOT NULL,
    superseded_at TIMESTAMPTZ NOT NULL
);
