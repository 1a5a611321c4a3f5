-- grain: one row per ticker and session (the latest vintage)
-- Prices are stored as the source quoted them and never adjusted in place. `basis_date` says which share
-- basis the quote is expressed in: every split with ex_date <= basis_date is already inside it.
-- An unadjusted source has basis_date = session; Yahoo restates splits, so there it is the fetch date.
CREATE TABLE IF NOT EXISTS bars (
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
    vintage          INTEGER NOT NULL
);
