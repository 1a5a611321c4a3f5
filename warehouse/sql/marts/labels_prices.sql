-- grain: one row per ticker, session and vintage of its bar
-- Prices of one ticker on one common share basis, so that `exit / entry - 1` may be formed of any
-- two of them: quoted price times the product of the splits its basis_date already holds.
-- A vintage is the one known from known_from until known_until; the first is taken as known all along.
CREATE OR REPLACE TEMP TABLE scope AS
SELECT min(position) AS from_position, min(previous_decision_ts) AS from_ts
FROM clock
WHERE session >= $from_session;

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
    SELECT * EXCLUDE (source, payload_id), 'infinity'::TIMESTAMPTZ AS known_until FROM bars
    UNION ALL BY NAME
    SELECT * EXCLUDE (source, payload_id, superseded_at), superseded_at AS known_until
    FROM bar_revisions
), reach AS (
    SELECT min(c.session) AS from_session
    FROM clock AS c
    JOIN scope AS s ON c.position >= s.from_position - $horizon - $lookback - 2
)
SELECT
    b.ticker,
    l.exchange,
    c.position,
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
    AND b.session >= passed.from_date AND b.session < passed.until_date
WHERE b.session >= (SELECT from_session FROM reach);

-- Overnight steps by a usual split ratio (within 3%) that no recorded split explains.
CREATE OR REPLACE TEMP TABLE odd_steps AS
SELECT now.ticker, now.position
FROM price_vintages AS now
JOIN price_vintages AS before
    ON before.ticker = now.ticker AND before.position = now.position - 1
WHERE now.known_until = 'infinity' AND before.known_until = 'infinity'
    AND ($entry = 'previous_close' OR $horizon > 1)
    AND now.open / before.close NOT BETWEEN 0.7 AND 1.43
    AND list_bool_or(list_transform(
        [1.5, 2, 3, 4, 5, 6, 7, 8, 10, 15, 20, 25, 30, 50, 100],
        lambda ratio: abs(
            greatest(now.open / before.close, before.close / now.open) / ratio - 1
        ) < 0.03
    ));

-- Where each ticker's bars begin, and where those of its exchange end.
CREATE OR REPLACE TEMP TABLE ends AS
WITH told AS (
    SELECT l.exchange, b.ticker, min(b.session) AS first_session, max(b.session) AS last_session
    FROM bars AS b
    JOIN listings AS l USING (ticker)
    GROUP BY ALL
)
SELECT t.exchange, t.ticker, t.first_session, max(c.position) AS last_position
FROM (SELECT *, max(last_session) OVER (PARTITION BY exchange) AS latest FROM told) AS t
JOIN clock AS c ON c.exchange = t.exchange AND c.session <= t.latest
GROUP BY ALL;
