-- grain: one row per stretch of sessions that is built at a time, oldest first; together they are all
-- Stretches hold about $chunk_rows headlines (or tickers, where every session counts), so that what is
-- in memory does not grow with the warehouse. from_session is inclusive, until_session exclusive;
-- headlines of the stretch are available from from_ts until until_ts, its bars are those of bars_from
-- to bars_until. Times are NULL where there is nothing to look at.
WITH told AS (
    SELECT utc_day(available_at) AS day, count(*) AS headlines
    FROM headlines
    -- Older ones weigh in no session that is built.
    WHERE available_at >= $from_session::TIMESTAMPTZ - INTERVAL 1 MONTH
    GROUP BY ALL
), weights AS (
    SELECT d.session, sum(coalesce(t.headlines, 0)) AS weight
    FROM clock_days AS d
    LEFT JOIN told AS t USING (day)
    WHERE d.session >= $from_session
    GROUP BY ALL
), numbered AS (
    SELECT
        session,
        sum(weight + CASE WHEN $min_headlines = 0 THEN (SELECT count(*) FROM listings) ELSE 0 END)
            OVER (ORDER BY session) // $chunk_rows AS chunk
    FROM weights
), cuts AS (
    SELECT $from_session AS from_session
    UNION
    SELECT min(session) FROM numbered WHERE chunk > 0 GROUP BY chunk
), stretches AS (
    SELECT
        from_session,
        lead(from_session, 1, DATE '9999-12-31') OVER (ORDER BY from_session) AS until_session
    FROM cuts
), bounds AS (
    SELECT
        s.from_session,
        s.until_session,
        c.exchange,
        min(c.previous_decision_ts)                                AS from_ts,
        max(c.decision_ts)                                         AS until_ts,
        -- Sessions that labels, earlier returns and context look back at, and the label's last.
        min(c.position) - $horizon - $lookback - 2                 AS first_position,
        max(c.position) + $horizon - 1                             AS last_position
    FROM stretches AS s
    LEFT JOIN clock AS c ON c.session >= s.from_session AND c.session < s.until_session
    GROUP BY ALL
)
SELECT
    b.from_session,
    b.until_session,
    min(b.from_ts)  AS from_ts,
    max(b.until_ts) AS until_ts,
    min(c.session)  AS bars_from,
    max(c.session)  AS bars_until
FROM bounds AS b
LEFT JOIN clock AS c
    ON c.exchange = b.exchange AND c.position BETWEEN b.first_position AND b.last_position
GROUP BY ALL
ORDER BY b.from_session;
