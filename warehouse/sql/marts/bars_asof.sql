-- grain: one row per ticker and session up to $asof
-- Every bar on the share basis of the date $asof, from raw bars and actions alone: nothing that went ex
-- after $asof changes a number. Of each bar and action the vintage known at the instant $known_at counts
-- (NULL: the one in force).
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
    rebased.ticker,
    rebased.session,
    rebased.open,
    rebased.high,
    rebased.low,
    rebased.close,
    rebased.volume,
    rebased.close * coalesce(ahead.kept, 1) AS total_return_close,
    rebased.vintage
FROM rebased
ASOF LEFT JOIN ahead
    ON rebased.ticker = ahead.ticker AND rebased.session < ahead.ex_date
ORDER BY rebased.ticker, rebased.session;
