-- grain: one row per headline and ticker it is about
-- method: feed (from a per-ticker feed) | vendor (listed in an API's item) | declared (an archive's column) | cashtag | alias
CREATE TABLE IF NOT EXISTS headline_tickers (
    headline_id VARCHAR NOT NULL,
    ticker      VARCHAR NOT NULL,
    method      VARCHAR NOT NULL
);
