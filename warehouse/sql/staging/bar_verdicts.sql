-- grain: one row per candidate bar, in the order received; reason NULL: keep the bar
-- Tables: candidates; context (bars known good that precede them); splits (ticker, ex_date, value);
-- calendar (session, close_ts), empty when the sessions are not to be checked.
-- Prices are compared on one share basis: each close divided by the splits after its basis_date.
-- A repeat is a traded bar with a range that equals its predecessor to the share; thinly traded stocks
-- do repeat a flat one.
-- The jump rules ask what a bar is worth beside its neighbours, so a fault spoils one bar and not the
-- ones after it: `scaled` looks at the median of five earlier closes (of five later ones at the start
-- of a history), `unapplied` at the last bar that is neither broken nor scaled.
WITH ranked AS (
    SELECT
        *,
        row_number() OVER (PARTITION BY ticker, session ORDER BY agrees DESC, position) AS copy
    FROM candidates
),

judged_alone AS (
    SELECT
        ranked.*,
        CASE
            WHEN ranked.ticker IS NULL OR ranked.session IS NULL THEN 'ticker or session is missing'
            WHEN ranked.copy > 1 THEN 'session is repeated'
            WHEN
                ranked.open IS NULL OR ranked.high IS NULL OR ranked.low IS NULL
                OR ranked.close IS NULL OR isnan(ranked.open) OR isnan(ranked.high)
                OR isnan(ranked.low) OR isnan(ranked.close)
                THEN 'price is null or NaN'
            WHEN
                isinf(ranked.open) OR isinf(ranked.high) OR isinf(ranked.low) OR isinf(ranked.close)
                THEN 'price is infinite'
            WHEN least(ranked.open, ranked.high, ranked.low, ranked.close) <= 0
                THEN 'price is zero or negative'
            WHEN ranked.volume IS NULL OR NOT isfinite(ranked.volume) THEN 'volume is null or infinite'
            WHEN ranked.volume < 0 OR ranked.volume <> floor(ranked.volume) OR ranked.volume > 9e15
                THEN 'volume is not a whole number of shares'
            WHEN ranked.high < ranked.low THEN 'high is below low'
            WHEN ranked.open > ranked.high OR ranked.open < ranked.low
                THEN 'open is outside low..high'
            WHEN ranked.close > ranked.high OR ranked.close < ranked.low
                THEN 'close is outside low..high'
            WHEN calendar.session IS NULL AND (SELECT count(*) FROM calendar) > 0
                THEN 'not a session of the exchange'
            WHEN calendar.close_ts + to_seconds($settle_seconds) > $now::TIMESTAMPTZ
                THEN 'session is unfinished'
            WHEN NOT ranked.agrees THEN 'client altered or dropped this bar'
        END AS reason
    FROM ranked
    LEFT JOIN calendar ON ranked.session = calendar.session
),

sound AS (
    SELECT ticker, session, position, open, high, low, close, volume, basis_date
    FROM judged_alone
    WHERE reason IS NULL
    UNION ALL
    SELECT ticker, session, NULL, open, high, low, close, volume, basis_date
    FROM context
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
        abs(ln(common_close / if(n_earlier >= 3, median_earlier, median_later)))
        > ln($jump_limit) AS jumps
    FROM neighbours
),

stepped AS (
    SELECT
        ticker,
        session,
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
    judged_alone.* EXCLUDE (reason, copy, agrees),
    coalesce(
        judged_alone.reason,
        CASE
            WHEN scaled.repeats THEN 'repeats the previous bar'
            WHEN scaled.jumps THEN 'price jumps beyond the limit'
            WHEN unapplied.session IS NOT NULL THEN 'price jumps like an unapplied split'
        END
    ) AS reason,
    to_json({
        'ticker': judged_alone.ticker, 'session': judged_alone.session,
        'open': judged_alone.open, 'high': judged_alone.high, 'low': judged_alone.low,
        'close': judged_alone.close, 'volume': judged_alone.volume
    })::VARCHAR AS record
FROM judged_alone
LEFT JOIN scaled USING (ticker, session, position)
LEFT JOIN unapplied ON judged_alone.ticker = unapplied.ticker AND judged_alone.session = unapplied.session
ORDER BY judged_alone.position;
