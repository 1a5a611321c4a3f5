CREATE TABLE IF NOT EXISTS headline_tickers (
    headline_id VARCHAR NOT NULL,
    ticker      VARCHAR NOT NULL,
    method      VARCHAR NOT NULL
);

COMMENT ON TABLE headline_tickers IS 'One row per headline and ticker it is about.';
COMMENT ON COLUMN headline_tickers.headline_id IS 'The headline, as in headlines.';
COMMENT ON COLUMN headline_tickers.ticker IS
    'Symbol of the share or index, in capitals, as the universe has it.';
COMMENT ON COLUMN headline_tickers.method IS
    'How that is known: feed (from a per-ticker feed), declared (by an archive''s column, or listed in an '
    'API''s item), cashtag or alias.';
