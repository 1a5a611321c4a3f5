-- grain: one row per ticker and calendar step with a session, from $since to $until (inclusive)
-- $step: 'month' or 'day'.
-- bars and news: share of the step's sessions with a bar, and with a headline published on a day of
-- the step; a session is any date on which some ticker has a bar.
WITH calendar AS (
    SELECT DISTINCT session, CAST(date_trunc($step, session) AS DATE) AS step
    FROM bars
    WHERE session BETWEEN $since AND $until
),
sized AS (
    SELECT step, count(*) AS sessions
    FROM calendar
    GROUP BY step
),
priced AS (
    SELECT ticker, CAST(date_trunc($step, session) AS DATE) AS step, count(*) AS bars
    FROM bars
    WHERE session BETWEEN $since AND $until
    GROUP BY ALL
),
told AS (
    SELECT
        ticker,
        CAST(date_trunc($step, published_at AT TIME ZONE 'UTC') AS DATE) AS step,
        count(DISTINCT CAST(published_at AT TIME ZONE 'UTC' AS DATE)) AS days
    FROM headlines
    JOIN headline_tickers USING (headline_id)
    WHERE CAST(published_at AT TIME ZONE 'UTC' AS DATE) BETWEEN $since AND $until
    GROUP BY ALL
),
tickers AS (
    SELECT ticker FROM bars
    UNION
    SELECT ticker FROM headline_tickers
)
SELECT
    ticker,
    step,
    sessions,
    round(coalesce(bars, 0) / sessions, 4) AS bars,
    round(least(1.0, coalesce(days, 0) / sessions), 4) AS news
FROM tickers
CROSS JOIN sized
LEFT JOIN priced USING (ticker, step)
LEFT JOIN told USING (ticker, step)
ORDER BY ticker, step;
