CREATE TABLE IF NOT EXISTS tickers (
    ticker     VARCHAR NOT NULL,
    exchange   VARCHAR NOT NULL,
    alias      VARCHAR NOT NULL,
    kind       VARCHAR NOT NULL,
    valid_from DATE NOT NULL,
    valid_to   DATE
);

COMMENT ON TABLE tickers IS 'One row per ticker, alias and first day of validity.';
COMMENT ON COLUMN tickers.ticker IS 'Symbol of the share or index, in capitals, as the universe has it.';
COMMENT ON COLUMN tickers.exchange IS 'ISO 10383 code of the exchange it is listed on.';
COMMENT ON COLUMN tickers.alias IS 'Symbol or name by which headlines refer to it.';
COMMENT ON COLUMN tickers.kind IS
    'symbol, word_symbol, former_symbol, name, word_name, former_name or share_class; a word_… is also an '
    'English word.';
COMMENT ON COLUMN tickers.valid_from IS 'Exchange-local date from which the alias stands for the ticker.';
COMMENT ON COLUMN tickers.valid_to IS 'Last exchange-local date on which it does; NULL while it still does.';
