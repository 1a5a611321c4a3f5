-- grain: one row per ticker, session and superseded vintage
CREATE TABLE IF NOT EXISTS bar_revisions (
    ticker           VARCHAR NOT NULL,
    session          DATE NOT NULL,
    open             DOUBLE NOT NULL,
    high             DOUBLE NOT NULL,
    low              DOUBLE NOT NULL,
    close            DOUBLE NOT NULL,
    volume           BIGINT NOT NULL,
    vendor_adj_close DOUBLE,
    basis_date       DATE NOT NULL,
    source           VARCHAR NOT NULL,
    payload_id       VARCHAR NOT NULL,
    recorded_at      TIMESTAMPTZ NOT NULL,
    vintage          INTEGER NOT NULL,
    superseded_at    TIMESTAMPTZ NOT NULL
);
