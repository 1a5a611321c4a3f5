-- Reads as of an instant, for notebooks and scripts.


-- name: bars_known
-- grain: one row per ticker and session whose bar was known before $asof, in the vintage known then
-- The rule of the decision clock: a first vintage counts as known $bar_lag after the close of its
-- session, whenever it was bought; a later one from when it was recorded. A session that no calendar
-- row names is closed at noon UTC of the next day, when its date is over everywhere on Earth.
SELECT t.* EXCLUDE (superseded_at)
FROM bar_versions AS t
LEFT JOIN ticker_exchanges AS l USING (ticker)
LEFT JOIN sessions AS s
    ON s.exchange = coalesce(l.exchange, $exchange) AND s.session = t.session
WHERE ($tickers IS NULL OR list_contains($tickers, t.ticker))
    AND coalesce(
        s.close_ts + $bar_lag::INTERVAL,
        (t.session + INTERVAL 36 HOUR)::TIMESTAMPTZ
    ) < $asof
    AND (t.vintage = 1 OR t.recorded_at < $asof)
QUALIFY row_number() OVER (PARTITION BY t.ticker, t.session ORDER BY t.vintage DESC) = 1;


-- name: actions_known
-- grain: one row per ticker, ex-date and kind, in the vintage known before $asof
-- A first vintage counts as known all along: without a split that a later quote holds, the quote could
-- not be put back on the share basis of $asof. Such a split, still to come at $asof, counts in its latest vintage.
-- One that its source had withdrawn by $asof is none.
WITH versions AS (
    SELECT *, NULL::TIMESTAMPTZ AS superseded_at FROM actions
    UNION ALL BY NAME
    SELECT * FROM action_revisions
), latest AS (
    SELECT *
    FROM versions
    WHERE ($tickers IS NULL OR list_contains($tickers, ticker))
        AND (vintage = 1 OR recorded_at < $asof OR ex_date > $asof::TIMESTAMPTZ::DATE)
    QUALIFY row_number() OVER (PARTITION BY ticker, ex_date, kind ORDER BY vintage DESC) = 1
)
SELECT * EXCLUDE (superseded_at)
FROM latest
WHERE superseded_at IS NULL OR superseded_at >= $asof;


-- name: bars_asof
-- grain: one row per ticker and session up to $asof
-- Every bar on the share basis of the date $asof, from raw bars and actions alone: nothing that went ex
-- after $asof changes a number. Of each bar and action the vintage known at the instant $known_at counts
-- (NULL: the latest).
-- shares: a quoted price is divided by every split with basis_date < ex_date <= $asof and multiplied by
-- every split with $asof < ex_date <= basis_date; volume the other way.
-- total_return_close: the close times the product, over dividends with session < ex_date <= $asof, of
-- 1 - dividend / close of the last session before ex_date (the CRSP and Yahoo formula).
WITH known_bars AS (
    SELECT ticker, session, open, high, low, close, volume, basis_date, vintage
    FROM bars
    WHERE $known_at::TIMESTAMPTZ IS NULL OR recorded_at <= $known_at::TIMESTAMPTZ
    UNION ALL
    SELECT ticker, session, open, high, low, close, volume, basis_date, vintage
    FROM bar_revisions
    WHERE recorded_at <= $known_at::TIMESTAMPTZ AND superseded_at > $known_at::TIMESTAMPTZ
),

known_actions AS (
    SELECT ticker, ex_date, kind, value, basis_date
    FROM actions
    WHERE $known_at::TIMESTAMPTZ IS NULL OR recorded_at <= $known_at::TIMESTAMPTZ
    UNION ALL
    SELECT ticker, ex_date, kind, value, basis_date
    FROM action_revisions
    WHERE recorded_at <= $known_at::TIMESTAMPTZ AND superseded_at > $known_at::TIMESTAMPTZ
),

-- Shares that one share before the first split has become, by the dates from which it is so.
splits AS (
    SELECT
        ticker,
        ex_date AS from_date,
        product(value) OVER by_date AS shares
    FROM known_actions
    WHERE kind = 'split'
    WINDOW by_date AS (PARTITION BY ticker ORDER BY ex_date)
),

-- What one share of each basis in use is at $asof.
bases AS (
    SELECT DISTINCT ticker, basis_date FROM known_bars
    UNION
    SELECT DISTINCT ticker, basis_date FROM known_actions
),

factors AS (
    SELECT
        bases.ticker,
        bases.basis_date,
        coalesce(now_shares.shares, 1) / coalesce(then_shares.shares, 1) AS shares
    FROM bases
    ASOF LEFT JOIN splits AS then_shares
        ON bases.ticker = then_shares.ticker AND bases.basis_date >= then_shares.from_date
    LEFT JOIN (
        SELECT ticker, max_by(shares, from_date) AS shares
        FROM splits
        WHERE from_date <= $asof::DATE
        GROUP BY ticker
    ) AS now_shares ON bases.ticker = now_shares.ticker
),

rebased AS (
    SELECT
        known_bars.ticker,
        known_bars.session,
        known_bars.open / factors.shares AS open,
        known_bars.high / factors.shares AS high,
        known_bars.low / factors.shares AS low,
        known_bars.close / factors.shares AS close,
        known_bars.volume * factors.shares AS volume,
        known_bars.vintage
    FROM known_bars
    INNER JOIN factors USING (ticker, basis_date)
    WHERE known_bars.session <= $asof::DATE
),

dividends AS (
    SELECT
        known_actions.ticker,
        known_actions.ex_date,
        1 - (known_actions.value / factors.shares) / rebased.close AS kept
    FROM known_actions
    INNER JOIN factors USING (ticker, basis_date)
    ASOF INNER JOIN rebased
        ON known_actions.ticker = rebased.ticker AND known_actions.ex_date > rebased.session
    WHERE known_actions.kind = 'dividend' AND known_actions.ex_date <= $asof::DATE
),

-- The product of what all later dividends leave, by the ex-date that comes next after a session.
ahead AS (
    SELECT
        ticker,
        ex_date,
        product(kept) OVER (PARTITION BY ticker ORDER BY ex_date DESC) AS kept
    FROM dividends
)

SELECT
    rebased.ticker, rebased.session, rebased.open, rebased.high, rebased.low, rebased.close,
    rebased.volume,
    rebased.close * coalesce(ahead.kept, 1) AS total_return_close,
    rebased.vintage
FROM rebased
ASOF LEFT JOIN ahead
    ON rebased.ticker = ahead.ticker AND rebased.session < ahead.ex_date
ORDER BY rebased.ticker, rebased.session;


-- name: headlines_asof
-- grain: one row per headline that was available before $asof, as it read then
-- story_id: the earliest available headline of its story, so that it never names one still unseen.
-- url: NULL of a superseded revision, whose address is not kept and whose successor's may tell of the edit.
WITH known AS (
    SELECT *
    FROM headline_versions
    WHERE available_at < $asof
    QUALIFY row_number() OVER (PARTITION BY headline_id ORDER BY revision DESC) = 1
), about AS (
    SELECT headline_id, list(DISTINCT ticker ORDER BY ticker) AS tickers
    FROM headline_tickers
    GROUP BY headline_id
), grouped AS (
    SELECT
        k.headline_id,
        first_value(k.headline_id) OVER (
            PARTITION BY h.story_id ORDER BY k.available_at, k.headline_id
        )                          AS story_id,
        coalesce(a.tickers, [])    AS tickers,
        h.source, k.title, k.summary,
        if(k.revision = h.revision, h.url, NULL) AS url,
        k.published_at, k.available_at, h.availability, h.synthetic, k.revision, k.payload_id
    FROM known AS k
    JOIN headlines AS h USING (headline_id)
    LEFT JOIN about AS a USING (headline_id)
)
SELECT *
FROM grouped
WHERE ($tickers IS NULL OR list_has_any(tickers, $tickers))
    AND ($since IS NULL OR available_at >= $since)
ORDER BY available_at, headline_id;


-- name: headlines_synthetic
-- grain: one row: whether any headline of the warehouse is synthetic
SELECT coalesce(bool_or(synthetic), false) AS synthetic FROM headlines;


-- name: examples_asof
-- grain: one row per example of $spec_id decided by $asof (NULL: every example)
-- An outcome shows once its window and the lag of its last bar were over; before, the row is `pending`. One of
-- $set_aside, sessions of a final holdout that is not opened, does not show.
SELECT
    example_id, ticker, session, decision_ts, max_input_available_at, label_start_ts, label_end_ts,
    if(shows, label, NULL)        AS label,
    CASE WHEN is_aside THEN 'set_aside' WHEN is_over THEN label_reason ELSE 'pending' END
                                  AS label_reason,
    if(shows, label_return, NULL) AS label_return,
    previous_return, availability, headline_ids, story_ids, input
FROM (
    SELECT
        *,
        $asof IS NULL OR label_end_ts + $bar_lag::INTERVAL < $asof AS is_over,
        list_contains($set_aside, session)                         AS is_aside,
        is_over AND NOT is_aside                                   AS shows
    FROM examples
    WHERE spec_id = $spec_id
        AND ($asof IS NULL OR decision_ts <= $asof)
        AND ($tickers IS NULL OR list_contains($tickers, ticker))
)
ORDER BY session, ticker;


-- name: forward_asof
-- grain: one row per forward prediction made by $asof, with its outcome if that was known by then
-- timely: made before its label window opened; one that was not is shown and never scored.
SELECT
    prediction_id, predictor, model_id, dataset_id, spec_id, example_id, ticker, session,
    decision_ts, predicted_at, label_start_ts, label_end_ts, p_up, call, timely,
    if(label_end_ts <= $asof, label, NULL)        AS label,
    if(label_end_ts <= $asof, label_return, NULL) AS label_return,
    headline_ids,
    input_sha256
FROM forward_record
WHERE predicted_at <= $asof
ORDER BY predicted_at, predictor, session, ticker;
