-- grain: one row per ticker with the exchange it is listed on, by the latest record of it
CREATE OR REPLACE TEMP VIEW ticker_exchanges AS
SELECT ticker, arg_max(exchange, (valid_from, exchange)) AS exchange
FROM tickers
GROUP BY ticker;
