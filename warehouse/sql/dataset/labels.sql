-- Labels: two prices on one share basis, and what their ratio says.


-- name: labels_prices
-- builds: price_vintages, odd_steps
-- An adjusted close that is no price (zero, negative, NaN, infinite) is none: vendors restate histories below
-- zero by subtracting dividends. A bar without volume is idle, unless its ticker has not had any volume yet
-- (see listings): an index never has.
-- grain: one row per ticker, session and vintage of its bar
-- Prices of one ticker on one common share basis, so that `exit / entry - 1` may be formed of any
-- two of them: quoted price times the product of the splits its basis_date already holds.
-- A vintage is the one known from known_from until known_until; the first is taken as known all along.
CREATE OR REPLACE TEMP TABLE price_vintages AS
WITH told AS (
    SELECT ticker, ex_date, value FROM actions WHERE kind = 'split'
    UNION ALL
    SELECT t.ticker, a.ex_date, any_value(a.value)
    FROM actions AS a
    JOIN lent AS t ON t.lender = a.ticker AND a.ex_date < t.bars_until
    ANTI JOIN actions AS own
        ON own.ticker = t.ticker AND own.ex_date = a.ex_date AND own.kind = 'split'
    WHERE a.kind = 'split'
    GROUP BY t.ticker, a.ex_date
), splits AS (
    SELECT
        ticker,
        ex_date                                                AS from_date,
        coalesce(lead(ex_date) OVER by_date, 'infinity'::DATE) AS until_date,
        product(value) OVER by_date                            AS factor
    FROM told
    WINDOW by_date AS (PARTITION BY ticker ORDER BY ex_date)
), own AS NOT MATERIALIZED (
    SELECT
        * EXCLUDE (source, payload_id, superseded_at),
        coalesce(superseded_at, 'infinity') AS known_until
    FROM bar_versions
    WHERE session BETWEEN $bars_from AND $bars_until
), versions AS (
    FROM own
    UNION ALL
    SELECT o.* REPLACE (t.ticker AS ticker)
    FROM own AS o
    JOIN lent AS t ON t.lender = o.ticker AND o.session < t.bars_until
    ANTI JOIN bars AS b ON b.ticker = t.ticker AND b.session = o.session
)
SELECT
    cell_of(l.number, c.position)                                                AS cell,
    CASE WHEN $basis = 'as_of' THEN b.open * coalesce(inside.factor, 1)
         WHEN is_price(b.vendor_adj_close) THEN b.open * b.vendor_adj_close / b.close END AS open,
    CASE WHEN $basis = 'as_of' THEN b.close * coalesce(inside.factor, 1)
         WHEN is_price(b.vendor_adj_close) THEN b.vendor_adj_close END             AS close,
    b.volume / coalesce(inside.factor, 1)                                          AS shares,
    b.volume = 0 AND b.session >= l.traded_from                                    AS idle,
    b.recorded_at < c.close_ts                                                     AS unfinished,
    coalesce(passed.factor, 1)                                                     AS split_state,
    CASE WHEN b.vintage = 1 THEN '-infinity'::TIMESTAMPTZ ELSE b.recorded_at END   AS known_from,
    b.known_until
FROM versions AS b
JOIN listings AS l USING (ticker)
JOIN clock AS c ON c.exchange = l.exchange AND c.session = b.session
LEFT JOIN splits AS inside
    ON inside.ticker = b.ticker
    AND b.basis_date >= inside.from_date AND b.basis_date < inside.until_date
LEFT JOIN splits AS passed
    ON passed.ticker = b.ticker
    AND b.session >= passed.from_date AND b.session < passed.until_date;

-- Steps from a bar to the next one there is, whatever lies between, that no recorded split explains: by a
-- usual split ratio, or by more than any share moves (a change of unit). What trading adds to a ratio grows
-- with the root of the sessions between: 3 % overnight, 12 % at most.
CREATE OR REPLACE TEMP TABLE odd_steps AS
WITH consecutive AS (
    SELECT
        cell, open, shares,
        cell - lag(cell) OVER by_session                AS distance,
        open / lag(close) OVER by_session               AS step
    FROM price_vintages
    WHERE known_until = 'infinity' AND close IS NOT NULL
        AND ($entry = 'previous_close' OR $horizon > 1)
    WINDOW by_session AS (PARTITION BY cell_number(cell) ORDER BY cell)
)
SELECT cell
FROM consecutive
WHERE step NOT BETWEEN 0.7 AND 1.43
    AND (
        is_beyond_belief(step)
        OR list_bool_or(list_transform(
            [1.5, 2, 3, 4, 5, 6, 7, 8, 10, 12, 15, 20],
            lambda ratio: abs(greatest(step, 1 / step) / ratio - 1)
            < least(0.03 * sqrt(distance), 0.12)
        ))
    );


-- name: labels
-- builds: labels
-- grain: one row per example, and per session of the batch for the benchmark
-- window_return is NULL where no return may be formed; reason says what became of the label.
-- previous_return: the same rule over the last window finished by the decision, in the prices known
-- then. Where entry and exit are of one session ($one_session), its bar is looked up once.
CREATE OR REPLACE TEMP TABLE labels AS
WITH wanted AS (
    SELECT cell FROM gathered
    UNION ALL
    (
        SELECT cell_of(l.number, cell_position(g.cell))
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
    FROM wanted AS a
    JOIN listings AS l ON l.number = cell_number(a.cell)
    JOIN clock AS c ON c.exchange = l.exchange AND c.position = cell_position(a.cell)
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
        t.cell, t.exchange, t.session, t.decision_ts, t.known_available_at, t.label_start_ts,
        t.label_end_ts,
        CASE WHEN $entry = 'open' THEN first.open ELSE first.close END         AS entry_price,
        CASE WHEN $one_session THEN first.close ELSE final.close END           AS exit_price,
        CASE
            WHEN e.last_position IS NULL OR cell_position(t.exit_cell) > e.last_position
                THEN 'pending'
            WHEN entry_price IS NULL OR exit_price IS NULL THEN 'missing_bar'
            WHEN first.unfinished OR final.unfinished THEN 'unfinished'
            WHEN first.idle OR final.idle THEN 'halted'
            WHEN $across_split = 'drop' AND first.split_state <> final.split_state
                THEN 'split_in_window'
            WHEN odd.cell IS NOT NULL THEN 'unexplained_split'
            WHEN is_beyond_belief(exit_price / entry_price) THEN 'implausible_return'
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
        SELECT w.exchange, cell_position(w.cell) AS position, w.own_return
        FROM windows AS w
        JOIN listings AS l ON l.ticker = $benchmark AND l.number = cell_number(w.cell)
    ) AS b
        ON $benchmark IS NOT NULL AND b.exchange = w.exchange AND b.position = cell_position(w.cell)
)
SELECT
    cell, session, decision_ts, known_available_at, label_start_ts, label_end_ts, window_return,
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
