-- grain: one row per ticker and session with a bar
-- Prices of one ticker on one common share basis, so that `exit / entry - 1` may be formed of any
-- two of them: quoted price times the product of the splits its basis_date already holds.
CREATE OR REPLACE TEMP TABLE prices AS
WITH splits AS (
    SELECT
        ticker,
        ex_date                                                                    AS from_date,
        coalesce(lead(ex_date) OVER by_date, 'infinity'::DATE)                     AS until_date,
        product(value) OVER by_date                                                AS factor
    FROM actions
    WHERE kind = 'split'
    WINDOW by_date AS (PARTITION BY ticker ORDER BY ex_date)
), quoted AS (
    SELECT
        b.ticker,
        l.exchange,
        c.position,
        CASE WHEN $basis = 'as_of' THEN b.open * coalesce(inside.factor, 1)
             ELSE b.open * b.vendor_adj_close / b.close END                        AS open,
        CASE WHEN $basis = 'as_of' THEN b.close * coalesce(inside.factor, 1)
             ELSE b.vendor_adj_close END                                           AS close,
        b.volume,
        b.recorded_at < c.close_ts                                                 AS unfinished,
        coalesce(passed.factor, 1)                                                 AS split_state
    FROM bars AS b
    JOIN listings AS l USING (ticker)
    JOIN clock AS c ON c.exchange = l.exchange AND c.session = b.session
    LEFT JOIN splits AS inside
        ON inside.ticker = b.ticker
        AND b.basis_date >= inside.from_date AND b.basis_date < inside.until_date
    LEFT JOIN splits AS passed
        ON passed.ticker = b.ticker
        AND b.session >= passed.from_date AND b.session < passed.until_date
), stepped AS (
    SELECT q.*, q.open / before.close AS step
    FROM quoted AS q
    LEFT JOIN quoted AS before ON before.ticker = q.ticker AND before.position = q.position - 1
)
SELECT
    * EXCLUDE (step),
    -- An overnight step by a usual split ratio (within 3%) that no recorded split explains.
    sum(CASE WHEN step BETWEEN 0.7 AND 1.43 OR step IS NULL THEN 0
             WHEN list_bool_or(list_transform(
                 [1.5, 2, 3, 4, 5, 6, 7, 8, 10, 15, 20, 25, 30, 50, 100],
                 lambda ratio: abs(greatest(step, 1 / step) / ratio - 1) < 0.03)) THEN 1
             ELSE 0 END) OVER (PARTITION BY ticker ORDER BY position)              AS odd_steps
FROM stepped;
