-- grain: one row per incoming action that is new, revised or in conflict with another source's action
-- Dividends are compared on the incoming share basis, as bars are (see bar_changes); splits as quoted.
WITH splits AS (
    SELECT ticker, ex_date, value FROM incoming_actions WHERE kind = 'split'
    UNION
    SELECT actions.ticker, actions.ex_date, actions.value
    FROM actions
    ANTI JOIN incoming_actions USING (ticker, ex_date, kind)
    WHERE actions.kind = 'split'
),

pairs AS (
    SELECT
        incoming.*,
        stored.value AS stored_value,
        stored.basis_date AS stored_basis_date,
        stored.source AS stored_source,
        stored.vintage AS stored_vintage
    FROM incoming_actions AS incoming
    LEFT JOIN actions AS stored USING (ticker, ex_date, kind)
),

restated AS (
    SELECT
        pairs.ticker,
        pairs.ex_date,
        pairs.kind,
        product(
            CASE WHEN splits.ex_date <= pairs.basis_date THEN splits.value ELSE 1 / splits.value END
        ) AS shares
    FROM pairs
    INNER JOIN splits
        ON
            pairs.ticker = splits.ticker
            AND splits.ex_date > least(pairs.basis_date, pairs.stored_basis_date)
            AND splits.ex_date <= greatest(pairs.basis_date, pairs.stored_basis_date)
    WHERE pairs.stored_vintage IS NOT NULL AND pairs.kind = 'dividend'
    GROUP BY ALL
)

SELECT
    pairs.ticker,
    pairs.ex_date,
    pairs.kind,
    pairs.value,
    pairs.basis_date,
    pairs.source,
    pairs.payload_id,
    $now::TIMESTAMPTZ AS recorded_at,
    (coalesce(pairs.stored_vintage, 0) + 1)::INTEGER AS vintage,
    CASE
        WHEN pairs.stored_vintage IS NULL THEN 'new'
        WHEN pairs.source = pairs.stored_source THEN 'revised'
        ELSE 'conflict'
    END AS change,
    pairs.stored_source
FROM pairs
LEFT JOIN restated USING (ticker, ex_date, kind)
WHERE
    pairs.stored_vintage IS NULL
    OR (restated.shares IS NULL AND pairs.value <> pairs.stored_value)
    OR abs(pairs.stored_value / restated.shares / pairs.value - 1) > 1e-6
ORDER BY pairs.ticker, pairs.ex_date, pairs.kind;
