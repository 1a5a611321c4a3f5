-- grain: one row per headline and ticker it is about
-- method: feed (from a per-ticker feed) | declared (by an archive's column, or listed in an API's item) | cashtag | alias
CREATE TABLE IF NOT EXISTS headline_tickers (
    headline_id VARCHAR NOT NULL,
    ticker      VARCHAR NOT NULL,
    method      VARCHAR NOT NULL
);
