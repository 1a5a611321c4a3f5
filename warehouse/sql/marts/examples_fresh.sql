-- grain: one row per example of the stretch: ticker and session
CREATE OR REPLACE TEMP TABLE fresh_examples AS
WITH told AS (
    SELECT
        g.*,
        l.ticker,
        now.* EXCLUDE (cell),
        -- Oldest first.
        coalesce(list_reverse(
            CASE WHEN a.allowed IS NULL THEN g.latest ELSE g.latest[:a.allowed] END
        ), [])                                                                 AS shown
    FROM gathered AS g
    JOIN labels AS now ON now.cell = g.cell
    JOIN listings AS l ON l.number = g.cell // 1000000
    LEFT JOIN allowances AS a
        ON $max_tokens IS NOT NULL AND a.ticker = l.ticker AND a.session = now.session
    WHERE now.label_end_ts IS NOT NULL
)
SELECT
    $spec_id                                                       AS spec_id,
    concat(t.ticker, '@', t.session)                               AS example_id,
    t.ticker,
    t.session,
    t.decision_ts,
    greatest(t.news_available_at, t.known_available_at)            AS max_input_available_at,
    t.label_start_ts,
    t.label_end_ts,
    t.label,
    t.reason                                                       AS label_reason,
    t.window_return                                                AS label_return,
    t.previous_return,
    CASE WHEN t.observed IS NOT DISTINCT FROM false
         THEN 'asserted' ELSE 'observed' END                       AS availability,
    list_transform(t.shown, lambda h: h.headline_id)               AS headline_ids,
    list_transform(t.shown, lambda h: h.story_id)                  AS story_ids,
    format(
        $template,
        coalesce($mask, t.ticker),
        t.session::VARCHAR,
        array_to_string(list_transform(t.shown, lambda h: h.line), $separator),
        t.headline_count::VARCHAR,
        coalesce(x.returns, '?'),
        coalesce(x.volume_change, '?'),
        coalesce(x.market_return, '?'),
        coalesce(x.days_since_news::VARCHAR, '?')
    )                                                              AS input
FROM told AS t
LEFT JOIN context AS x ON $uses_context AND x.cell = t.cell;
