-- grain: one row per ticker and session
-- Text on one line, without control characters; what is plain already is not searched twice.
CREATE OR REPLACE TEMP MACRO one_line(words) AS
    CASE WHEN regexp_matches(words, '[^ -~]|  |^ | $')
         THEN trim(regexp_replace(words, '[\s\pC\pZ]+', ' ', 'g'))
         ELSE words END;

CREATE OR REPLACE TEMP TABLE fresh_examples AS
WITH gathered AS (
    SELECT
        ticker,
        exchange,
        position,
        count(*)                            AS headline_count,
        max(available_at)                   AS news_available_at,
        bool_and(availability = 'observed') AS observed,
        -- The latest ones; published_at and headline_id come first and decide.
        list_reverse(max(
            {
                published_at: published_at,
                headline_id: headline_id,
                story_id: story_id,
                title: title,
                source: source,
                summary: coalesce(summary, '')
            },
            $max_headlines
        ))                                  AS shown
    FROM news
    GROUP BY ALL
), told AS (
    SELECT
        * EXCLUDE (shown),
        list_transform(shown, lambda h: h.headline_id) AS headline_ids,
        list_transform(shown, lambda h: h.story_id)    AS story_ids,
        array_to_string(
            list_transform(shown, lambda h: format(
                $headline_template,
                left(one_line(h.title), $max_title_chars),
                h.source,
                one_line(h.summary)
            )),
            $separator
        )                                              AS headlines
    FROM gathered
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
