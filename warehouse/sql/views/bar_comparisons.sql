-- grain: one row per ticker, session and source that gave its bar, beside the bar held
-- Prices and volume are on the share basis of the session itself. difference: the largest of the four prices
-- from those of the bar held, as a share of the larger; NULL for the source that holds the bar.
CREATE OR REPLACE TEMP VIEW bar_comparisons AS
WITH told AS (
    SELECT ticker, list({'ex_date': ex_date, 'value': value}) AS splits
    FROM actions
    WHERE kind = 'split'
    GROUP BY ticker
), given AS (
    SELECT ticker, session, source, open, high, low, close, volume, basis_date, payload_id FROM bar_readings
    UNION ALL
    SELECT ticker, session, source, open, high, low, close, volume, basis_date, payload_id
    FROM bars ANTI JOIN bar_readings USING (ticker, session, source)
), quoted AS (
    SELECT
        given.* EXCLUDE (open, high, low, close, volume),
        shares_after(told.splits, given.basis_date) / shares_after(told.splits, given.session) AS shares,
        rebased(given.open, given.high, given.low, given.close, shares) AS bar,
        given.volume * shares AS volume,
        bars.source AS held_by,
        rebased(
            bars.open, bars.high, bars.low, bars.close,
            shares_after(told.splits, bars.basis_date) / shares_after(told.splits, bars.session)
        ) AS held
    FROM given
    LEFT JOIN told USING (ticker)
    LEFT JOIN bars ON given.ticker = bars.ticker AND given.session = bars.session
)
SELECT
    ticker, session, source, held_by,
    bar.open, bar.high, bar.low, bar.close, volume, basis_date, payload_id,
    CASE WHEN source <> held_by THEN bar_difference(bar, held) END AS difference
FROM quoted;
