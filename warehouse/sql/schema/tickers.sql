-- grain: one row per ticker, alias and first day of validity
-- kind: symbol | word_symbol | former_symbol | name | word_name | former_name | share_class (a word_… is
-- also an English word). valid_to NULL: still valid.
CREATE TABLE IF NOT EXISTS tickers (
    ticker     VARCHAR NOT NULL,
    exchange   VARCHAR NOT NULL,
    alias      VARCHAR NOT NULL,
    kind       VARCHAR NOT NULL,
    valid_from DATE NOT NULL,
    valid_to   DATE
);
