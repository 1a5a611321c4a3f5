-- grain: one row per ticker with a bar, a headline or an example of $spec_id
WITH priced AS (
    SELECT ticker, count(*) AS bars, min(session) AS first_session, max(session) AS last_session
    FROM bars
    GROUP BY ticker
),
told AS (
    SELECT ticker, count(*) AS headlines, count(DISTINCT story_id) AS stories
    FROM headline_tickers
    JOIN headlines USING (headline_id)
    GROUP BY ticker
),
exemplified AS (
    SELECT
        ticker,
        count(*) AS examples,
        count(label) AS labelled,
        round(avg(CASE label WHEN 'up' THEN 1.0 WHEN 'down' THEN 0.0 END), 6) AS up_share
    FROM examples
    WHERE spec_id = $spec_id
    GROUP BY ticker
)
SELECT
    ticker,
    coalesce(bars, 0) AS bars,
    first_session,
    last_session,
    coalesce(headlines, 0) AS headlines,
    coalesce(stories, 0) AS stories,
    coalesce(examples, 0) AS examples,
    coalesce(labelled, 0) AS labelled,
    up_share
FROM priced
FULL JOIN told USING (ticker)
FULL JOIN exemplified USING (ticker)
ORDER BY ticker;
