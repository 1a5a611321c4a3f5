-- grain: one row per ticker, session and vintage of its bar
-- Prices of one ticker on one common share basis, so that `exit / entry - 1` may be formed of any
-- two of them: quoted price times the product of the splits its basis_date already holds.
-- A vintage is the one known from known_from until known_until; the first is taken as known all along.
CREATE OR REPLACE TEMP TABLE price_vintages AS
WITH splits AS (
    SELECT
        ticker,
        ex_date                                                AS from_date,
        coalesce(lead(ex_date) OVER by_date, 'infinity'::DATE) AS until_date,
        product(value) OVER by_date                            AS factor
    FROM actions
    WHERE kind = 'split'
    WINDOW by_date AS (PARTITION BY ticker ORDER BY ex_date)
), told AS (
    SELECT * EXCLUDE (source, payload_id), 'infinity'::TIMESTAMPTZ AS known_until
    FROM bars
    WHERE session BETWEEN $bars_from AND $bars_until
    UNION ALL BY NAME
    SELECT * EXCLUDE (source, payload_id, superseded_at), superseded_at AS known_until
    FROM bar_revisions
    WHERE session BETWEEN $bars_from AND $bars_until
)
SELECT
    l.number * 1000000 + c.position                                                AS cell,
    CASE WHEN $basis = 'as_of' THEN b.open * coalesce(inside.factor, 1)
         ELSE b.open * b.vendor_adj_close / b.close END                            AS open,
    CASE WHEN $basis = 'as_of' THEN b.close * coalesce(inside.factor, 1)
         ELSE b.vendor_adj_close END                                               AS close,
    b.volume / coalesce(inside.factor, 1)                                          AS shares,
    b.recorded_at < c.close_ts                                                     AS unfinished,
    coalesce(passed.factor, 1)                                                     AS split_state,
    CASE WHEN b.vintage = 1 THEN '-infinity'::TIMESTAMPTZ ELSE b.recorded_at END   AS known_from,
    b.known_until
FROM told AS b
JOIN listings AS l USING (ticker)
JOIN clock AS c ON c.exchange = l.exchange AND c.session = b.session
LEFT JOIN splits AS inside
    ON inside.ticker = b.ticker
    AND b.basis_date >= inside.from_date AND b.basis_date < inside.until_date
LEFT JOIN splits AS passed
    ON passed.ticker = b.ticker
    AND b.session >= passed.from_date AND b.session < passed.until_date;

-- Overnight steps by a usual split ratio (within 3%) that no recorded split explains.
CREATE OR REPLACE TEMP TABLE odd_steps AS
SELECT now.cell
FROM price_vintages AS now
JOIN price_vintages AS before ON before.cell = now.cell - 1
WHERE now.known_until = 'infinity' AND before.known_until = 'infinity'
    AND ($entry = 'previous_close' OR $horizon > 1)
    AND now.open / before.close NOT BETWEEN 0.7 AND 1.43
    AND list_bool_or(list_transform(
        [1.5, 2, 3, 4, 5, 6, 7, 8, 10, 15, 20, 25, 30, 50, 100],
        lambda ratio: abs(
            greatest(now.open / before.close, before.close / now.open) / ratio - 1
        ) < 0.03
    ));
