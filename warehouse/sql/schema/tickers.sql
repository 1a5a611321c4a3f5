-- grain: one row per ticker, alias and first day of validity
-- kind: symbol | name | former_name | former_symbol | share_class. valid_to NULL: still in force.
CREATE TABLE IF NOT EXISTS tickers (
    ticker     VARCHAR NOT NULL,
    exchange   VARCHAR NOT NULL,
    alias      VARCHAR NOT NULL,
    kind       VARCHAR NOT NULL,
    valid_from DATE NOT NULL,
    valid_to   DATE
);
