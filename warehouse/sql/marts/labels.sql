-- grain: one row per ticker and session of its exchange, from its first bar to one past the last
-- window_return is NULL where no return may be formed; reason says what became of the label.
CREATE OR REPLACE TEMP TABLE ends AS
WITH told AS (
    SELECT l.exchange, b.ticker, min(b.session) AS first_session, max(b.session) AS last_session
    FROM bars AS b
    JOIN listings AS l USING (ticker)
    GROUP BY ALL
)
SELECT
    t.exchange,
    t.ticker,
    t.first_session,
    max(c.position) AS last_position
FROM (SELECT *, max(last_session) OVER (PARTITION BY exchange) AS latest FROM told) AS t
JOIN clock AS c ON c.exchange = t.exchange AND c.session <= t.latest
GROUP BY ALL;

CREATE OR REPLACE TEMP TABLE labels AS
WITH windows AS (
    SELECT
        e.ticker,
        e.exchange,
        c.session,
        c.position,
        CASE WHEN $entry = 'open' THEN first.open ELSE first.close END AS entry_price,
        final.close                                                    AS exit_price,
        CASE
            WHEN c.end_position > e.last_position THEN 'pending'
            WHEN entry_price IS NULL OR exit_price IS NULL THEN 'missing_bar'
            WHEN first.unfinished OR final.unfinished THEN 'unfinished'
            WHEN first.halted OR final.halted THEN 'halted'
            WHEN $across_split = 'drop' AND first.split_state <> final.split_state
                THEN 'split_in_window'
            WHEN first.odd_steps <> final.odd_steps THEN 'unexplained_split'
        END                                                            AS obstacle,
        CASE WHEN obstacle IS NULL THEN exit_price / entry_price - 1 END AS own_return
    FROM ends AS e
    JOIN clock AS c
        ON c.exchange = e.exchange
        AND c.session >= e.first_session AND c.position <= e.last_position + 1
        AND c.session >= $from_session
    LEFT JOIN prices AS first
        ON first.ticker = e.ticker
        AND first.position = c.position - CASE WHEN $entry = 'open' THEN 0 ELSE 1 END
    LEFT JOIN prices AS final
        ON final.ticker = e.ticker AND final.position = c.end_position
), measured AS (
    SELECT
        w.* EXCLUDE (obstacle),
        CASE WHEN $benchmark IS NOT NULL AND w.obstacle IS NULL AND b.own_return IS NULL
             THEN 'missing_benchmark' ELSE w.obstacle END AS obstacle,
        -- Rounded once, here: the last bits differ between share bases and must decide nothing.
        round(w.own_return - CASE WHEN $benchmark IS NULL THEN 0 ELSE b.own_return END, 10)
                                                          AS window_return
    FROM windows AS w
    LEFT JOIN windows AS b
        ON b.ticker = $benchmark AND b.exchange = w.exchange AND b.position = w.position
)
SELECT
    ticker,
    exchange,
    session,
    position,
    window_return,
    CASE
        WHEN obstacle IS NOT NULL THEN obstacle
        WHEN window_return = 0 THEN 'unchanged'
        WHEN window_return > $upper OR window_return <= $lower THEN 'labelled'
        ELSE 'dead_band'
    END                                                                      AS reason,
    CASE WHEN reason = 'labelled'
         THEN CASE WHEN window_return > $upper THEN 'up' ELSE 'down' END END AS label
FROM measured;
