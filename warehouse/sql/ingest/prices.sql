-- Prices: what a vendor or an archive gave, validated row by row, and published as vintages.


-- name: bar_reconcile
-- grain: one row per bar in the vendor's answer, with whether the client handed it on unaltered
-- The client spells null and NaN alike and a null volume 0; numbers must agree to the last bit.
-- fetched_on NULL: the vendor quotes the share basis of the session itself.
SELECT
    $ticker AS ticker,
    chart.*,
    coalesce($fetched_on::DATE, chart.session) AS basis_date,
    $payload_id AS payload_id,
    client.session IS NOT NULL
    AND client.open IS NOT DISTINCT FROM CASE WHEN NOT isnan(chart.open) THEN chart.open END
    AND client.high IS NOT DISTINCT FROM CASE WHEN NOT isnan(chart.high) THEN chart.high END
    AND client.low IS NOT DISTINCT FROM CASE WHEN NOT isnan(chart.low) THEN chart.low END
    AND client.close IS NOT DISTINCT FROM CASE WHEN NOT isnan(chart.close) THEN chart.close END
    AND client.volume = CASE WHEN isnan(chart.volume) THEN 0 ELSE coalesce(chart.volume, 0) END
        AS agrees
FROM chart
LEFT JOIN client USING (session)
ORDER BY chart.position;


-- name: action_candidates
-- grain: one row per event of the vendor's answer
-- fetched_on NULL: the vendor quotes dividends on the share basis of their own ex-date.
SELECT
    $ticker AS ticker, ex_date, kind, value,
    CASE WHEN kind = 'split' THEN ex_date ELSE coalesce($fetched_on::DATE, ex_date) END AS basis_date,
    $source AS source, $payload_id AS payload_id, "foreign"
FROM events
ORDER BY ex_date, kind;


-- name: splits_merged
-- grain: one row per split told now or on record
SELECT * FROM told
UNION ALL
SELECT * FROM stored ANTI JOIN told USING (ticker, ex_date, kind);


-- name: bar_context
-- grain: one row per ticker and session, the last five sessions of each ticker
SELECT *
FROM bars
QUALIFY row_number() OVER (PARTITION BY ticker ORDER BY session DESC) <= 5;


-- name: bars_around
-- grain: one row per ticker and session on record near the candidates (ticker, session), none of theirs
-- Five before the first, five after the last, and all between: what the row rules look at.
WITH spans AS (
    SELECT ticker, min(session) AS first_session, max(session) AS last_session
    FROM candidates
    GROUP BY ticker
),

placed AS (
    SELECT
        bars.* EXCLUDE (recorded_at, vintage),
        CASE
            WHEN bars.session < spans.first_session THEN -1
            WHEN bars.session > spans.last_session THEN 1
            ELSE 0
        END AS side
    FROM bars
    INNER JOIN spans USING (ticker)
    ANTI JOIN candidates ON bars.ticker = candidates.ticker AND bars.session = candidates.session
)

SELECT * EXCLUDE (side)
FROM placed
QUALIFY side = 0 OR row_number() OVER (
    PARTITION BY ticker, side ORDER BY side * (session - DATE '1970-01-01')
) <= 5;


-- name: bars_beside_actions
-- grain: one row per ticker and session on record within ten days of a candidate's ex-date
SELECT * EXCLUDE (recorded_at, vintage)
FROM bars
WHERE EXISTS (
    SELECT 1 FROM candidates
    WHERE candidates.ticker = bars.ticker AND bars.session BETWEEN candidates.ex_date - 10 AND candidates.ex_date + 10
);


-- name: splits_of
-- grain: one row per split on record of the candidates' tickers
SELECT * EXCLUDE (recorded_at, vintage)
FROM actions
WHERE kind = 'split' AND ticker IN (SELECT ticker FROM candidates);


-- name: exchanges_recorded
-- grain: one row per ticker whose exchange is on record
SELECT ticker, exchange
FROM ticker_exchanges
ORDER BY ticker;


-- name: bars_context_merged
-- grain: one row per ticker and session, of what this import kept and what is on record
SELECT * FROM kept
UNION ALL
SELECT * FROM stored ANTI JOIN kept USING (ticker, session);


-- name: bar_validation
-- grain: one row per candidate bar, in the order received; reason NULL: keep the bar
-- Tables: candidates; context (bars known good around them, of other sessions); seen (ticker and session of
-- bars that the same file gave before); splits (ticker, ex_date, value);
-- calendar (session, close_ts), empty when the sessions are not to be checked.
-- Prices are compared on one share basis: each close divided by the splits after its basis_date.
-- A repeat is a traded bar with a range that equals its predecessor to the share; thinly traded stocks
-- do repeat a flat one.
-- The jump rules ask what a bar is worth beside its neighbours, so a fault spoils one bar and not the
-- ones after it: `scaled` looks at the median of five earlier closes (of five later ones at the start
-- of a history), `unapplied` at the last bar that is neither broken nor scaled.
-- $ordered: a source that gives its bars by session; one that lies outside its neighbours has a wrong stamp.
WITH counted AS (
    SELECT
        *,
        count(*) OVER (PARTITION BY ticker, session) AS copies,
        $ordered AND coalesce(
            (session > lead(session) OVER given OR session < lag(session) OVER given)
            AND coalesce(lag(session) OVER given < lead(session) OVER given, TRUE), FALSE
        ) AS out_of_order
    FROM candidates
    WINDOW given AS (PARTITION BY ticker ORDER BY position)
),

validated AS (
    SELECT
        counted.*,
        CASE
            WHEN counted.ticker IS NULL OR counted.session IS NULL THEN 'ticker or session is missing'
            WHEN is_symbol(upper(counted.ticker)) AND NOT is_symbol(counted.ticker)
                THEN 'ticker is not a symbol, which is in capitals'
            WHEN NOT is_symbol(counted.ticker) THEN 'ticker is not a symbol'
            WHEN
                counted.open IS NULL OR counted.high IS NULL OR counted.low IS NULL
                OR counted.close IS NULL OR isnan(counted.open) OR isnan(counted.high)
                OR isnan(counted.low) OR isnan(counted.close)
                THEN 'price is null or NaN'
            WHEN
                isinf(counted.open) OR isinf(counted.high) OR isinf(counted.low) OR isinf(counted.close)
                THEN 'price is infinite'
            WHEN least(counted.open, counted.high, counted.low, counted.close) <= 0
                THEN 'price is zero or negative'
            WHEN greatest(counted.open, counted.high, counted.low, counted.close) > 1e7
                THEN 'price is beyond that of any share'
            WHEN counted.volume IS NULL OR NOT isfinite(counted.volume) THEN 'volume is null or infinite'
            WHEN counted.volume < 0 OR counted.volume <> floor(counted.volume) OR counted.volume > 1e13
                THEN 'volume is not a whole number of shares'
            WHEN counted.basis_date IS NULL OR counted.basis_date < counted.session
                THEN 'share basis lies before the session'
            WHEN counted.high < counted.low THEN 'high is below low'
            WHEN counted.open > counted.high OR counted.open < counted.low
                THEN 'open is outside low..high'
            WHEN counted.close > counted.high OR counted.close < counted.low
                THEN 'close is outside low..high'
            WHEN counted.session < $earliest::DATE THEN 'date is impossible'
            WHEN counted.session > $now::TIMESTAMPTZ::DATE + 1 THEN 'session lies in the future'
            WHEN
                counted.session < (SELECT min(session) FROM calendar)
                OR counted.session > (SELECT max(session) FROM calendar)
                THEN 'session lies outside the recorded calendar of the exchange'
            WHEN calendar.session IS NULL AND (SELECT count(*) FROM calendar) > 0
                THEN 'not a session of the exchange'
            WHEN counted.out_of_order THEN 'session is out of order'
            WHEN calendar.close_ts + to_seconds($settle_seconds) > $now::TIMESTAMPTZ
                THEN 'session is unfinished'
            WHEN known.session IS NOT NULL OR (NOT counted.agrees AND counted.copies > 1)
                THEN 'session is repeated'
            WHEN NOT counted.agrees THEN 'client altered or dropped this bar'
        END AS reason
    FROM counted
    LEFT JOIN calendar ON counted.session = calendar.session
    LEFT JOIN seen AS known
        ON counted.ticker = known.ticker AND counted.session = known.session
),

ranked AS (
    SELECT
        *,
        row_number() OVER (PARTITION BY ticker, session ORDER BY position) AS copy
    FROM validated
    WHERE reason IS NULL
),

sound AS (
    SELECT ticker, session, position, open, high, low, close, volume, basis_date
    FROM ranked
    WHERE copy = 1
    UNION ALL
    SELECT ticker, session, NULL, open, high, low, close, volume, basis_date
    FROM context
    ANTI JOIN ranked USING (ticker, session)
),

rebased AS (
    SELECT
        sound.*,
        coalesce(
            (
                SELECT product(splits.value)
                FROM splits
                WHERE splits.ticker = sound.ticker AND splits.ex_date > sound.basis_date
            ), 1
        ) AS shares
    FROM sound
),

neighbours AS (
    SELECT
        *,
        close / shares AS common_close,
        count(*) OVER earlier AS n_earlier,
        median(close / shares) OVER earlier AS median_earlier,
        median(close / shares) OVER later AS median_later,
        lag(open) OVER by_session = open AND lag(high) OVER by_session = high
        AND lag(low) OVER by_session = low AND lag(close) OVER by_session = close
        AND lag(volume) OVER by_session = volume AND volume > 0 AND high > low AS repeats
    FROM rebased
    WINDOW
        by_session AS (PARTITION BY ticker ORDER BY session),
        earlier AS (PARTITION BY ticker ORDER BY session ROWS BETWEEN 5 PRECEDING AND 1 PRECEDING),
        later AS (PARTITION BY ticker ORDER BY session ROWS BETWEEN 1 FOLLOWING AND 5 FOLLOWING)
),

scaled AS (
    SELECT
        *,
        abs(ln(common_close / if(
            n_earlier >= 3, median_earlier, coalesce(median_later, median_earlier)
        )))
        > ln($jump_limit) AS jumps
    FROM neighbours
),

stepped AS (
    SELECT
        ticker, session,
        common_close / lag(common_close) OVER by_session AS step,
        open / shares / lag(common_close) OVER by_session AS gap,
        volume * shares / nullif(median(volume * shares) OVER earlier, 0) AS busy,
        lag(session) OVER by_session AS previous
    FROM scaled
    WHERE NOT coalesce(jumps, FALSE)
    WINDOW
        by_session AS (PARTITION BY ticker ORDER BY session),
        earlier AS (PARTITION BY ticker ORDER BY session ROWS BETWEEN 5 PRECEDING AND 1 PRECEDING)
),

-- A split leaves open and close alike near 1/ratio and, unlike a crash, brings no rush of trading.
unapplied AS (
    SELECT DISTINCT stepped.ticker, stepped.session
    FROM stepped
    INNER JOIN (VALUES (2.0), (3.0), (4.0), (5.0), (6.0), (7.0), (8.0), (10.0), (15.0)) AS usual (ratio)
        ON
            abs(abs(ln(stepped.step)) - ln(usual.ratio)) < 0.03
            AND abs(abs(ln(stepped.gap)) - ln(usual.ratio)) < 0.03
            AND sign(ln(stepped.step)) = sign(ln(stepped.gap))
    WHERE coalesce(stepped.busy, 1) < 3 * usual.ratio
    UNION
    SELECT stepped.ticker, stepped.session
    FROM stepped
    INNER JOIN splits
        ON
            stepped.ticker = splits.ticker
            AND splits.ex_date > stepped.previous
            AND splits.ex_date <= stepped.session
            AND abs(ln(splits.value)) > 0.3
            AND abs(abs(ln(stepped.step)) - abs(ln(splits.value))) < 0.15
)

SELECT
    validated.* EXCLUDE (reason, copies, agrees, out_of_order),
    coalesce(
        validated.reason,
        CASE
            WHEN scaled.position IS NULL THEN 'session is repeated'
            WHEN scaled.repeats THEN 'repeats the previous bar'
            WHEN scaled.jumps THEN 'price jumps beyond the limit'
            WHEN unapplied.session IS NOT NULL THEN 'price jumps like an unapplied split'
        END
    ) AS reason,
    to_json({
        'ticker': validated.ticker, 'session': validated.session,
        'open': validated.open, 'high': validated.high, 'low': validated.low,
        'close': validated.close, 'volume': validated.volume
    })::VARCHAR AS record
FROM validated
LEFT JOIN scaled USING (ticker, session, position)
LEFT JOIN unapplied ON validated.ticker = unapplied.ticker AND validated.session = unapplied.session
ORDER BY validated.position;


-- name: action_validation
-- grain: one row per candidate action; reason NULL: keep the action
-- Tables: candidates; calendar; bars (known good, around the ex-dates); splits on record.
-- `before` is the last close before the ex-date and `after` the first open from it on, on the share basis of
-- the action, ten days away at most. A share falls by about the dividend when it goes ex: one far beyond the
-- usual without half such a fall is one in another unit. A split of prices as traded leaves a step by its ratio.
WITH told AS (
    SELECT DISTINCT ticker, ex_date, value FROM candidates WHERE kind = 'split' AND is_price(value)
    UNION
    SELECT ticker, ex_date, value FROM splits
),

counted AS (
    SELECT
        *,
        row_number() OVER () AS position,
        count(DISTINCT value) OVER (PARTITION BY ticker, ex_date, kind) AS n_values,
        row_number() OVER (PARTITION BY ticker, ex_date, kind ORDER BY value) AS copy,
        median(value) OVER (PARTITION BY ticker, kind) AS usual
    FROM candidates
),

quoted AS (
    SELECT
        counted.position,
        arg_max(bars.close, bars.session) FILTER (WHERE bars.session < counted.ex_date) AS close,
        arg_max(bars.basis_date, bars.session) FILTER (WHERE bars.session < counted.ex_date) AS close_basis,
        arg_min(bars.open, bars.session) FILTER (WHERE bars.session >= counted.ex_date) AS open,
        arg_min(bars.basis_date, bars.session) FILTER (WHERE bars.session >= counted.ex_date) AS open_basis
    FROM counted
    INNER JOIN bars
        ON counted.ticker = bars.ticker AND bars.session BETWEEN counted.ex_date - 10 AND counted.ex_date + 10
    GROUP BY counted.position
),

rebased AS (
    SELECT
        counted.*,
        quoted.close_basis < counted.ex_date AND quoted.open_basis >= counted.ex_date AS as_traded,
        quoted.open / quoted.close AS traded_step,
        quoted.close / coalesce((
            SELECT product(told.value) FROM told
            WHERE
                told.ticker = counted.ticker
                AND told.ex_date > quoted.close_basis AND told.ex_date <= counted.basis_date
        ), 1) AS before,
        quoted.open / coalesce((
            SELECT product(told.value) FROM told
            WHERE
                told.ticker = counted.ticker
                AND told.ex_date > quoted.open_basis AND told.ex_date <= counted.basis_date
        ), 1) AS after
    FROM counted
    LEFT JOIN quoted USING (position)
)

SELECT
    candidates.ticker, candidates.ex_date, candidates.kind, candidates.value, candidates.basis_date,
    candidates.source, candidates.payload_id,
    CASE
        WHEN candidates.ticker IS NULL OR candidates.ex_date IS NULL THEN 'ticker or ex-date is missing'
        WHEN NOT is_symbol(candidates.ticker) THEN 'ticker is not a symbol'
        WHEN candidates.kind IS NULL OR candidates.kind NOT IN ('split', 'dividend')
            THEN 'kind is neither split nor dividend'
        WHEN candidates.value IS NULL OR NOT isfinite(candidates.value) THEN 'value is null or infinite'
        WHEN candidates.value <= 0 THEN 'value is zero or negative'
        WHEN candidates.value > 1e5 THEN 'value is beyond that of any action'
        WHEN candidates.kind = 'split' AND abs(ln(candidates.value)) > ln(1000)
            THEN 'split ratio is beyond 1000:1'
        WHEN candidates.kind = 'dividend' AND candidates."foreign"
            THEN 'dividend is paid in another currency than the share is quoted in'
        WHEN calendar.session IS NULL AND (SELECT count(*) FROM calendar) > 0
            THEN 'ex-date is not a session of the exchange'
        WHEN candidates.n_values > 1 THEN 'several values for one ex-date'
        WHEN candidates.copy > 1 THEN 'action is repeated'
        WHEN candidates.kind = 'dividend' AND candidates.value >= candidates.before
            THEN 'dividend is worth more than the share'
        WHEN
            candidates.kind = 'dividend'
            AND (
                candidates.value > 0.2 * candidates.before
                OR (
                    candidates.value > 0.02 * candidates.before
                    AND candidates.value > $jump_limit * candidates.usual
                )
            )
            AND candidates.after > candidates.before - candidates.value / 2
            THEN 'no fall of the price explains the dividend'
        WHEN
            candidates.kind = 'split' AND candidates.as_traded AND abs(ln(candidates.value)) > 0.3
            AND abs(ln(candidates.traded_step) + ln(candidates.value)) > 0.3
            THEN 'no step of the price explains the split'
    END AS reason,
    to_json({
        'ticker': candidates.ticker, 'ex_date': candidates.ex_date, 'kind': candidates.kind,
        'value': candidates.value
    })::VARCHAR AS record
FROM rebased AS candidates
LEFT JOIN calendar ON candidates.ex_date = calendar.session
ORDER BY candidates.ticker, candidates.ex_date, candidates.kind, candidates.value;


-- name: bars_latest
-- grain: one row per ticker and session, as read from the latest of several answers
SELECT * EXCLUDE (reading)
FROM readings
QUALIFY row_number() OVER (PARTITION BY ticker, session ORDER BY reading DESC) = 1
ORDER BY ticker, session;


-- name: actions_latest
-- grain: one row per ticker, ex-date and kind, as read from the latest of several answers
-- bars: those of all answers. An answer that has the bar of the day but not the action has withdrawn it.
WITH told AS (
    SELECT ticker, session AS ex_date, max(reading) AS last_reading
    FROM bars
    GROUP BY ALL
)

SELECT readings.* EXCLUDE (reading)
FROM readings
LEFT JOIN told USING (ticker, ex_date)
WHERE readings.reading >= coalesce(told.last_reading, 0)
QUALIFY row_number() OVER (PARTITION BY ticker, ex_date, kind ORDER BY reading DESC) = 1
ORDER BY ticker, ex_date, kind;


-- name: bar_archive_ledger
-- grain: one row per ticker of one slice of an archive, over the sessions it holds there
SELECT
    $source AS source, ticker AS key,
    min(session) AS range_start,
    max(session) AS range_end,
    'done' AS state,
    count(*) AS rows,
    NULL::BIGINT AS expected,
    NULL::BIGINT AS received,
    NULL::DATE[] AS missing,
    $payload_id AS payload_id,
    NULL::VARCHAR AS error,
    FALSE AS again
FROM bars
GROUP BY ticker
ORDER BY ticker;
