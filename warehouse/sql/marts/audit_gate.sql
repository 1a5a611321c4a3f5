-- grain: one row per broken rule, judged from the sources and not from the clock the build used
WITH listed AS (
    SELECT ticker, arg_max(exchange, valid_from) AS exchange FROM lake.main.tickers GROUP BY ticker
), hours AS (
    SELECT
        exchange,
        session,
        open_ts,
        close_ts,
        lag(close_ts) OVER by_session                AS previous_close_ts,
        lead(close_ts, $horizon - 1) OVER by_session AS exit_ts
    FROM lake.main.sessions
    WINDOW by_session AS (PARTITION BY exchange ORDER BY session)
), first_told AS (
    SELECT headline_id, min(available_at) AS available_at
    FROM (
        SELECT headline_id, available_at FROM lake.main.headlines
        UNION ALL
        SELECT headline_id, available_at FROM lake.main.headline_revisions
    )
    GROUP BY headline_id
), shown AS (
    SELECT e.example_id, max(t.available_at) AS available_at, count(*) - count(t.headline_id) AS lost
    FROM (SELECT example_id, unnest(headline_ids) AS headline_id FROM full_examples) AS e
    LEFT JOIN first_told AS t USING (headline_id)
    GROUP BY e.example_id
), judged AS (
    SELECT
        e.example_id,
        unnest([
            CASE WHEN e.max_input_available_at >= e.decision_ts
                 THEN 'max_input_available_at < decision_ts' END,
            CASE WHEN s.available_at >= e.decision_ts
                 THEN 'every shown headline was available before decision_ts' END,
            CASE WHEN s.lost > 0 THEN 'every shown headline is in the warehouse' END,
            CASE WHEN e.decision_ts IS DISTINCT FROM
                      CASE WHEN $decide_at = 'open' THEN h.open_ts ELSE h.previous_close_ts END
                      - $lead::INTERVAL
                 THEN 'decision_ts is the lead before the exchange''s hour' END,
            CASE WHEN e.label_start_ts IS DISTINCT FROM
                      CASE WHEN $entry = 'open' THEN h.open_ts ELSE h.previous_close_ts END
                 THEN 'label_start_ts is the entry''s hour' END,
            CASE WHEN e.label_end_ts IS DISTINCT FROM h.exit_ts
                 THEN 'label_end_ts is the exit''s hour' END,
            CASE WHEN $tradable AND e.decision_ts > e.label_start_ts
                 THEN 'decision_ts <= label_start_ts' END,
            CASE WHEN e.decision_ts >= e.label_end_ts THEN 'decision_ts < label_end_ts' END,
            CASE WHEN e.label_start_ts >= e.label_end_ts THEN 'label_start_ts < label_end_ts' END
        ]) AS rule
    FROM full_examples AS e
    LEFT JOIN listed AS l USING (ticker)
    LEFT JOIN hours AS h
        ON h.exchange = coalesce(l.exchange, $exchange) AND h.session = e.session
    LEFT JOIN shown AS s USING (example_id)
)
SELECT rule AS what, count(*) AS rows, min(example_id) AS first_example
FROM judged
WHERE rule IS NOT NULL
GROUP BY rule
ORDER BY rule;
