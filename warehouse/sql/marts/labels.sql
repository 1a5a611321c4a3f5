-- grain: one row per ticker and session of its exchange, from its first bar to one past the last
-- window_return is NULL where no return may be formed; reason says what became of the label.
CREATE OR REPLACE TEMP TABLE labels AS
WITH spans AS (
    SELECT ticker, exchange, min(position) AS first_position FROM prices GROUP BY ALL
), ends AS (
    SELECT exchange, max(position) AS last_position FROM prices GROUP BY exchange
), windows AS (
    SELECT
        s.ticker,
        s.exchange,
        c.session,
        c.position,
        c.end_position,
        c.end_position > e.last_position                                AS pending,
        CASE WHEN $entry = 'open' THEN first.open ELSE first.close END  AS entry_price,
        final.close                                                     AS exit_price,
        first.unfinished OR final.unfinished                            AS unfinished,
        first.volume = 0 OR final.volume = 0                            AS halted,
        first.split_state <> final.split_state                          AS across_split,
        first.odd_steps <> final.odd_steps                              AS odd_step
    FROM spans AS s
    JOIN ends AS e USING (exchange)
    JOIN clock AS c
        ON c.exchange = s.exchange
        AND c.position BETWEEN s.first_position AND e.last_position + 1
    LEFT JOIN prices AS first
        ON first.ticker = s.ticker
        AND first.position = c.position - CASE WHEN $entry = 'open' THEN 0 ELSE 1 END
    LEFT JOIN prices AS final
        ON final.ticker = s.ticker AND final.position = c.end_position
), judged AS (
    SELECT
        *,
        CASE
            WHEN pending THEN 'pending'
            WHEN entry_price IS NULL OR exit_price IS NULL THEN 'missing_bar'
            WHEN unfinished THEN 'unfinished'
            WHEN halted THEN 'halted'
            WHEN across_split AND $across_split = 'drop' THEN 'split_in_window'
            WHEN odd_step THEN 'unexplained_split'
        END AS obstacle,
        -- Rounded once, here: the last bits differ between share bases and must decide nothing.
        CASE WHEN obstacle IS NULL THEN round(exit_price / entry_price - 1, 10) END AS window_return
    FROM windows
)
SELECT
    ticker,
    exchange,
    session,
    position,
    end_position,
    window_return,
    CASE
        WHEN obstacle IS NOT NULL THEN obstacle
        WHEN window_return = 0 THEN 'unchanged'
        WHEN window_return > $upper OR window_return <= $lower THEN 'labelled'
        ELSE 'dead_band'
    END                                                                             AS reason,
    CASE WHEN reason = 'labelled'
         THEN CASE WHEN window_return > $upper THEN 'up' ELSE 'down' END END        AS label
FROM judged;
