-- grain: one row per ticker and session
CREATE OR REPLACE TEMP TABLE fresh_examples AS
WITH ranked AS (
    SELECT
        *,
        row_number() OVER (
            PARTITION BY ticker, position ORDER BY published_at DESC, headline_id DESC
        ) AS newest_first
    FROM news
), told AS (
    SELECT
        ticker,
        exchange,
        position,
        count(*)                                      AS headline_count,
        max(available_at)                             AS news_available_at,
        bool_and(availability = 'observed')           AS observed,
        list(headline_id ORDER BY newest_first DESC)
            FILTER (newest_first <= $max_headlines)   AS headline_ids,
        list(story_id ORDER BY newest_first DESC)
            FILTER (newest_first <= $max_headlines)   AS story_ids,
        string_agg(
            format(
                $headline_template,
                left(trim(regexp_replace(title, '[\s\pC\pZ]+', ' ', 'g')), $max_title_chars),
                source,
                coalesce(trim(regexp_replace(summary, '[\s\pC\pZ]+', ' ', 'g')), '')
            ),
            $separator ORDER BY newest_first DESC
        ) FILTER (newest_first <= $max_headlines)     AS headlines
    FROM ranked
    GROUP BY ALL
), wanted AS (
    SELECT ticker, exchange, position FROM told WHERE headline_count >= $min_headlines
    UNION
    SELECT ticker, exchange, position FROM labels WHERE $min_headlines = 0
), ends AS (
    SELECT exchange, max(position) AS last_position FROM prices GROUP BY exchange
)
SELECT
    $spec_id                                                       AS spec_id,
    concat(w.ticker, '@', c.session)                               AS example_id,
    w.ticker,
    c.session,
    c.decision_ts,
    greatest(t.news_available_at, c.known_available_at)            AS max_input_available_at,
    c.label_start_ts,
    c.label_end_ts,
    now.label,
    CASE WHEN now.reason IS NOT NULL THEN now.reason
         WHEN c.end_position <= e.last_position THEN 'missing_bar'
         ELSE 'pending' END                                        AS label_reason,
    now.window_return                                              AS label_return,
    past.window_return                                             AS previous_return,
    CASE WHEN t.observed IS NOT DISTINCT FROM false
         THEN 'asserted' ELSE 'observed' END                       AS availability,
    coalesce(t.headline_ids, [])                                   AS headline_ids,
    coalesce(t.story_ids, [])                                      AS story_ids,
    format(
        $template, w.ticker, c.session::VARCHAR,
        coalesce(t.headlines, ''), coalesce(t.headline_count, 0)::VARCHAR
    )                                                              AS input
FROM wanted AS w
JOIN clock AS c ON c.exchange = w.exchange AND c.position = w.position
LEFT JOIN told AS t ON t.ticker = w.ticker AND t.position = w.position
LEFT JOIN ends AS e ON e.exchange = w.exchange
LEFT JOIN labels AS now ON now.ticker = w.ticker AND now.position = w.position
LEFT JOIN labels AS past ON past.ticker = w.ticker AND past.end_position = c.known_position
WHERE c.label_end_ts IS NOT NULL;
