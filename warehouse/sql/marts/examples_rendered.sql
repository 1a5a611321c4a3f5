-- grain: one row per example
-- Text on one line, without control characters; what is plain already is not searched twice.
CREATE OR REPLACE TEMP MACRO one_line(words) AS
    CASE WHEN regexp_matches(words, '[^ -~]|  |^ | $')
         THEN trim(regexp_replace(words, '[\s\pC\pZ]+', ' ', 'g'))
         ELSE words END;

-- What gives a ticker away in a text: its symbol, its cashtag, its names.
CREATE OR REPLACE TEMP TABLE giveaways AS
SELECT
    l.ticker,
    '(?i)\$?\b(' || string_agg(regexp_escape(a.alias), '|' ORDER BY length(a.alias) DESC, a.alias) || ')\b'
        AS pattern
FROM listings AS l
JOIN (SELECT ticker, alias FROM tickers UNION SELECT ticker, ticker FROM listings) AS a
    USING (ticker)
WHERE $mask IS NOT NULL
GROUP BY l.ticker;

CREATE OR REPLACE TEMP TABLE rendered AS
WITH told AS (
    SELECT
        s.ticker,
        s.exchange,
        s.position,
        c.session,
        c.decision_ts,
        m.pattern,
        coalesce(g.headline_count, 0)                                         AS headline_count,
        coalesce(
            list_reverse(g.latest[:coalesce(a.allowed, $max_headlines)]), []
        )                                                                     AS shown
    FROM subjects AS s
    JOIN clock AS c ON c.exchange = s.exchange AND c.position = s.position
    LEFT JOIN gathered AS g ON g.ticker = s.ticker AND g.position = s.position
    LEFT JOIN allowances AS a ON a.ticker = s.ticker AND a.position = s.position
    LEFT JOIN giveaways AS m ON m.ticker = s.ticker
), lined AS (
    SELECT
        * EXCLUDE (shown),
        list_transform(shown, lambda h: h.headline_id) AS headline_ids,
        list_transform(shown, lambda h: h.story_id)    AS story_ids,
        array_to_string(
            list_transform(shown, lambda h: format(
                $headline_template,
                left(one_line(
                    CASE WHEN pattern IS NULL THEN h.title
                         ELSE regexp_replace(h.title, pattern, $mask, 'g') END
                ), $max_title_chars),
                h.source,
                one_line(
                    CASE WHEN pattern IS NULL THEN h.summary
                         ELSE regexp_replace(h.summary, pattern, $mask, 'g') END
                ),
                ((epoch_us(decision_ts) - epoch_us(h.published_at)) // 3600000000)::VARCHAR || 'h'
            )),
            $separator
        )                                              AS headlines
    FROM told
)
SELECT
    t.ticker,
    t.exchange,
    t.position,
    t.headline_ids,
    t.story_ids,
    format(
        $template,
        coalesce($mask, t.ticker),
        t.session::VARCHAR,
        t.headlines,
        t.headline_count::VARCHAR,
        coalesce(x.returns, '?'),
        coalesce(x.volume_change, '?'),
        coalesce(x.market_return, '?'),
        coalesce(x.days_since_news::VARCHAR, '?')
    ) AS input
FROM lined AS t
LEFT JOIN context AS x ON x.ticker = t.ticker AND x.position = t.position;
