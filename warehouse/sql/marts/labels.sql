-- grain: one row per example
-- window_return is NULL where no return may be formed; reason says what became of the label.
CREATE OR REPLACE TEMP TABLE labels AS
WITH asked AS (
    SELECT ticker, exchange, position FROM subjects
    UNION
    SELECT l.ticker, l.exchange, s.position
    FROM listings AS l
    JOIN subjects AS s ON s.exchange = l.exchange
    WHERE l.ticker = $benchmark
), closes AS (
    SELECT exchange, max(last_position) AS last_position FROM ends GROUP BY exchange
), odd AS (
    SELECT DISTINCT a.ticker, a.position
    FROM asked AS a
    JOIN odd_steps AS o
        ON o.ticker = a.ticker
        AND o.position > a.position - CASE WHEN $entry = 'open' THEN 0 ELSE 1 END
        AND o.position <= a.position + $horizon - 1
), windows AS (
    SELECT
        a.ticker,
        a.exchange,
        a.position,
        CASE WHEN $entry = 'open' THEN first.open ELSE first.close END AS entry_price,
        final.close                                                    AS exit_price,
        CASE
            WHEN e.last_position IS NULL OR a.position + $horizon - 1 > e.last_position
                THEN 'pending'
            WHEN entry_price IS NULL OR exit_price IS NULL THEN 'missing_bar'
            WHEN first.unfinished OR final.unfinished THEN 'unfinished'
            WHEN first.shares = 0 OR final.shares = 0 THEN 'halted'
            WHEN $across_split = 'drop' AND first.split_state <> final.split_state
                THEN 'split_in_window'
            WHEN odd.ticker IS NOT NULL THEN 'unexplained_split'
        END                                                            AS obstacle,
        CASE WHEN obstacle IS NULL THEN exit_price / entry_price - 1 END AS own_return
    FROM asked AS a
    LEFT JOIN closes AS e ON e.exchange = a.exchange
    LEFT JOIN odd ON odd.ticker = a.ticker AND odd.position = a.position
    LEFT JOIN price_vintages AS first
        ON first.ticker = a.ticker AND first.known_until = 'infinity'
        AND first.position = a.position - CASE WHEN $entry = 'open' THEN 0 ELSE 1 END
    LEFT JOIN price_vintages AS final
        ON final.ticker = a.ticker AND final.known_until = 'infinity'
        AND final.position = a.position + $horizon - 1
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
