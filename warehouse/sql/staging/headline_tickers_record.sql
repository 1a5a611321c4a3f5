-- grain: one inserted row per headline and ticker not yet known
INSERT INTO headline_tickers BY NAME
SELECT
    changes.headline_id,
    pairs.ticker,
    min(pairs.method) AS method
FROM incoming_tickers AS pairs
INNER JOIN changes ON pairs.headline_id = changes.incoming_id
ANTI JOIN headline_tickers AS known
    ON changes.headline_id = known.headline_id AND pairs.ticker = known.ticker
GROUP BY changes.headline_id, pairs.ticker
ORDER BY changes.headline_id, pairs.ticker;
