-- grain: one row per example, and per session of the stretch for the benchmark
-- window_return is NULL where no return may be formed; reason says what became of the label.
-- previous_return: the same rule over the last window finished by the decision, in the prices known
-- then. Where entry and exit are of one session ($one_session), its bar is looked up once.
CREATE OR REPLACE TEMP TABLE labels AS
WITH asked AS (
    SELECT cell FROM gathered
    UNION ALL
    (
        SELECT l.number * 1000000 + g.cell % 1000000
        FROM gathered AS g
        JOIN listings AS l ON l.ticker = $benchmark
        EXCEPT
        SELECT cell FROM gathered
    )
), timed AS (
    SELECT
        a.cell,
        c.*,
        a.cell - CASE WHEN $entry = 'open' THEN 0 ELSE 1 END                 AS entry_cell,
        a.cell + $horizon - 1                                                AS exit_cell,
        a.cell - c.position + c.known_position                               AS known_cell,
        known_cell - $horizon + CASE WHEN $entry = 'open' THEN 1 ELSE 0 END  AS opened_cell
    FROM asked AS a
    JOIN listings AS l ON l.number = a.cell // 1000000
    JOIN clock AS c ON c.exchange = l.exchange AND c.position = a.cell % 1000000
), current AS (
    SELECT * FROM price_vintages WHERE known_until = 'infinity'
), closes AS (
    SELECT exchange, max(last_position) AS last_position FROM ends GROUP BY exchange
), odd AS (
    SELECT DISTINCT t.cell
    FROM timed AS t
    JOIN odd_steps AS o ON o.cell > t.entry_cell AND o.cell <= t.exit_cell
), windows AS (
    SELECT
        t.cell,
        t.exchange,
        t.session,
        t.decision_ts,
        t.known_available_at,
        t.label_start_ts,
        t.label_end_ts,
        CASE WHEN $entry = 'open' THEN first.open ELSE first.close END         AS entry_price,
        CASE WHEN $one_session THEN first.close ELSE final.close END           AS exit_price,
        CASE
            WHEN e.last_position IS NULL OR t.exit_cell % 1000000 > e.last_position
                THEN 'pending'
            WHEN entry_price IS NULL OR exit_price IS NULL THEN 'missing_bar'
            WHEN first.unfinished OR final.unfinished THEN 'unfinished'
            WHEN first.shares = 0 OR final.shares = 0 THEN 'halted'
            WHEN $across_split = 'drop' AND first.split_state <> final.split_state
                THEN 'split_in_window'
            WHEN odd.cell IS NOT NULL THEN 'unexplained_split'
        END                                                                    AS obstacle,
        CASE WHEN obstacle IS NULL THEN exit_price / entry_price - 1 END       AS own_return,
        CASE
            WHEN $one_session THEN closed.open
            WHEN $entry = 'open' THEN opened.open
            ELSE opened.close
        END                                                                    AS earlier_price,
        CASE WHEN NOT (
            closed.unfinished OR CASE WHEN $one_session THEN false ELSE opened.unfinished END
        ) THEN closed.close / earlier_price - 1 END                            AS previous_return
    FROM timed AS t
    LEFT JOIN closes AS e ON e.exchange = t.exchange
    LEFT JOIN odd ON odd.cell = t.cell
    LEFT JOIN current AS first ON first.cell = t.entry_cell
    LEFT JOIN current AS final ON NOT $one_session AND final.cell = t.exit_cell
    LEFT JOIN price_vintages AS closed
        ON closed.cell = t.known_cell
        AND t.decision_ts > closed.known_from AND t.decision_ts <= closed.known_until
    LEFT JOIN price_vintages AS opened
        ON NOT $one_session AND opened.cell = t.opened_cell
        AND t.decision_ts > opened.known_from AND t.decision_ts <= opened.known_until
), measured AS (
    SELECT
        w.* EXCLUDE (obstacle, previous_return),
        CASE WHEN $benchmark IS NOT NULL AND w.obstacle IS NULL AND b.own_return IS NULL
             THEN 'missing_benchmark' ELSE w.obstacle END AS obstacle,
        -- Rounded once, here: the last bits differ between share bases and must decide nothing.
        round(w.own_return - CASE WHEN $benchmark IS NULL THEN 0 ELSE b.own_return END, 10)
                                                          AS window_return,
        round(w.previous_return, 10)                      AS previous_return
    FROM windows AS w
    LEFT JOIN (
        SELECT w.exchange, w.cell % 1000000 AS position, w.own_return
        FROM windows AS w
        JOIN listings AS l ON l.ticker = $benchmark AND l.number = w.cell // 1000000
    ) AS b
        ON $benchmark IS NOT NULL AND b.exchange = w.exchange AND b.position = w.cell % 1000000
)
SELECT
    cell,
    session,
    decision_ts,
    known_available_at,
    label_start_ts,
    label_end_ts,
    window_return,
    previous_return,
    CASE
        WHEN obstacle IS NOT NULL THEN obstacle
        WHEN window_return = 0 THEN 'unchanged'
        WHEN window_return > $upper OR window_return <= $lower THEN 'labelled'
        ELSE 'dead_band'
    END                                                                      AS reason,
    CASE WHEN reason = 'labelled'
         THEN CASE WHEN window_return > $upper THEN 'up' ELSE 'down' END END AS label
FROM measured;
