-- grain: one row per example: ticker and session
CREATE OR REPLACE TEMP TABLE fresh_examples AS
SELECT
    $spec_id                                                       AS spec_id,
    concat(r.ticker, '@', c.session)                               AS example_id,
    r.ticker,
    c.session,
    c.decision_ts,
    greatest(g.news_available_at, c.known_available_at)            AS max_input_available_at,
    c.label_start_ts,
    c.label_end_ts,
    now.label,
    now.reason                                                     AS label_reason,
    now.window_return                                              AS label_return,
    -- The same rule, one window that had ended by the decision, in the prices known then.
    CASE WHEN NOT (opened.unfinished OR closed.unfinished)
         THEN round(
             closed.close / CASE WHEN $entry = 'open' THEN opened.open ELSE opened.close END - 1, 10
         ) END                                                     AS previous_return,
    CASE WHEN g.observed IS NOT DISTINCT FROM false
         THEN 'asserted' ELSE 'observed' END                       AS availability,
    r.headline_ids,
    r.story_ids,
    r.input
FROM rendered AS r
JOIN clock AS c ON c.exchange = r.exchange AND c.position = r.position
LEFT JOIN gathered AS g ON g.ticker = r.ticker AND g.position = r.position
JOIN labels AS now ON now.ticker = r.ticker AND now.position = r.position
LEFT JOIN price_vintages AS closed
    ON closed.ticker = r.ticker AND closed.position = c.known_position
    AND c.decision_ts > closed.known_from AND c.decision_ts <= closed.known_until
LEFT JOIN price_vintages AS opened
    ON opened.ticker = r.ticker
    AND opened.position
        = c.known_position - $horizon + CASE WHEN $entry = 'open' THEN 1 ELSE 0 END
    AND c.decision_ts > opened.known_from AND c.decision_ts <= opened.known_until
WHERE c.label_end_ts IS NOT NULL;
