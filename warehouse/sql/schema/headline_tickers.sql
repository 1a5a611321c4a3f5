-- grain: one row per headline and ticker it is about
-- method: feed (a per-ticker feed said so) | declared (an archive's column) | cashtag | alias
CREATE TABLE IF NOT EXISTS headline_tickers (
    headline_id VARCHAR NOT NULL,
    ticker      VARCHAR NOT NULL,
    method      VARCHAR NOT NULL
);
