-- Publishing prices: what is new, revised or in conflict, compared on one share basis.


-- name: share_factors
-- grain: one row per ticker and two share bases, incoming and stored, between which it split
-- shares: stored quotes divided by it are on the incoming basis.
WITH splits AS (
    SELECT ticker, ex_date, value FROM incoming_actions WHERE kind = 'split'
    UNION
    SELECT actions.ticker, actions.ex_date, actions.value
    FROM actions
    ANTI JOIN incoming_actions USING (ticker, ex_date, kind)
    WHERE actions.kind = 'split'
),

bases AS (
    SELECT incoming.ticker, incoming.basis_date, stored.basis_date AS stored_basis_date
    FROM incoming_bars AS incoming
    INNER JOIN bars AS stored USING (ticker, session)
    UNION
    SELECT incoming.ticker, incoming.basis_date, stored.basis_date AS stored_basis_date
    FROM incoming_actions AS incoming
    INNER JOIN actions AS stored USING (ticker, ex_date, kind)
    WHERE incoming.kind = 'dividend'
)

SELECT
    bases.ticker, bases.basis_date, bases.stored_basis_date,
    product(
        CASE WHEN splits.ex_date <= bases.basis_date THEN splits.value ELSE 1 / splits.value END
    ) AS shares
FROM bases
INNER JOIN splits
    ON
        bases.ticker = splits.ticker
        AND splits.ex_date > least(bases.basis_date, bases.stored_basis_date)
        AND splits.ex_date <= greatest(bases.basis_date, bases.stored_basis_date)
GROUP BY ALL;


-- name: bar_changes
-- feeds: bars
-- grain: one row per incoming bar that is new, revised, outranked, in conflict with another source's bar, or a repeat
-- Between two sources of $precedence (the best first) the better one's bar revises the worse one's; the other
-- way round it is outranked, and what is stored stays.
-- A repeat has the numbers of another session: traded shares do not, so one of its dates is wrong; of two
-- that come together it is the later. Numbers are the same within one part in a million (see is_same), stored
-- and incoming quotes compared on the incoming bar's share basis.
-- vendor_adj_close is not compared: vendors restate all of it at every dividend.
WITH pairs AS (
    SELECT
        incoming.*,
        stored.open AS stored_open, stored.high AS stored_high, stored.low AS stored_low,
        stored.close AS stored_close, stored.volume AS stored_volume,
        stored.basis_date AS stored_basis_date, stored.source AS stored_source,
        stored.vintage AS stored_vintage
    FROM incoming_bars AS incoming
    LEFT JOIN bars AS stored USING (ticker, session)
),

compared AS (
    SELECT
        pairs.*,
        coalesce(factors.shares, 1) AS shares
    FROM pairs
    LEFT JOIN share_factors AS factors USING (ticker, basis_date, stored_basis_date)
),

repeated AS (
    SELECT incoming.ticker, incoming.session
    FROM incoming_bars AS incoming
    INNER JOIN (
        SELECT ticker, session, open, high, low, close, volume, TRUE AS stored FROM bars
        UNION ALL
        SELECT ticker, session, open, high, low, close, volume, FALSE AS stored FROM incoming_bars
    ) AS other
        ON
            incoming.ticker = other.ticker
            AND incoming.volume = other.volume
            AND (incoming.session > other.session OR other.stored)
            AND incoming.session <> other.session
            AND is_same(incoming.close, other.close)
            AND is_same(incoming.open, other.open)
            AND is_same(incoming.high, other.high)
            AND is_same(incoming.low, other.low)
    WHERE incoming.volume > 0 AND incoming.high > incoming.low
),

equated AS (
    SELECT
        *,
        is_same(stored_open / shares, open) AND is_same(stored_high / shares, high)
        AND is_same(stored_low / shares, low) AND is_same(stored_close / shares, close)
        AND (
            is_same(stored_volume * shares, volume)
            -- Restated volumes are rounded to shares.
            OR shares <> 1 AND abs(stored_volume * shares - volume) <= greatest(shares, 1)
        ) AS same
    FROM compared
)

SELECT
    ticker, session, open, high, low, close, volume, vendor_adj_close, basis_date, source,
    payload_id, $now::TIMESTAMPTZ AS recorded_at,
    (coalesce(stored_vintage, 0) + 1)::INTEGER AS vintage,
    CASE
        WHEN stored_vintage IS NULL AND (ticker, session) IN (FROM repeated) THEN 'repeat'
        WHEN stored_vintage IS NULL THEN 'new'
        WHEN source = stored_source THEN 'revised'
        ELSE change_of_source($precedence::VARCHAR[], source, stored_source)
    END AS change,
    stored_source
FROM equated
WHERE stored_vintage IS NULL OR NOT same
ORDER BY ticker, session;


-- name: action_changes
-- feeds: actions
-- grain: one row per incoming action that is new, revised or in conflict with another source's action
-- Dividends are compared on the incoming share basis, as bars are (see bar_changes); splits as quoted.
-- A withdrawn action that comes back is its next vintage.
WITH pairs AS (
    SELECT
        incoming.*,
        stored.value AS stored_value, stored.basis_date AS stored_basis_date,
        stored.source AS stored_source, stored.vintage AS stored_vintage
    FROM incoming_actions AS incoming
    LEFT JOIN actions AS stored USING (ticker, ex_date, kind)
)

SELECT
    pairs.ticker, pairs.ex_date, pairs.kind, pairs.value, pairs.basis_date, pairs.source,
    pairs.payload_id, $now::TIMESTAMPTZ AS recorded_at,
    (coalesce(pairs.stored_vintage, former.vintage, 0) + 1)::INTEGER AS vintage,
    CASE
        WHEN pairs.stored_vintage IS NULL THEN 'new'
        WHEN pairs.source = pairs.stored_source THEN 'revised'
        WHEN change_of_source($precedence::VARCHAR[], pairs.source, pairs.stored_source) = 'revised' THEN 'revised'
        ELSE 'conflict'
    END AS change,
    pairs.stored_source
FROM pairs
LEFT JOIN (
    SELECT ticker, ex_date, kind, max(vintage) AS vintage FROM action_revisions GROUP BY ALL
) AS former
    ON pairs.ticker = former.ticker AND pairs.ex_date = former.ex_date AND pairs.kind = former.kind
LEFT JOIN share_factors AS factors
    ON
        pairs.kind = 'dividend'
        AND pairs.ticker = factors.ticker
        AND pairs.basis_date = factors.basis_date
        AND pairs.stored_basis_date = factors.stored_basis_date
WHERE
    pairs.stored_vintage IS NULL
    OR NOT is_same(pairs.stored_value / coalesce(factors.shares, 1), pairs.value)
ORDER BY pairs.ticker, pairs.ex_date, pairs.kind;


-- name: actions_withdrawn
-- grain: one row per stored action that its source no longer gives, though it gives the bar of the day
-- An action that it does give but that was refused (incoming_rejects) is not withdrawn.
SELECT actions.*
FROM actions
SEMI JOIN incoming_bars AS told
    ON actions.ticker = told.ticker AND actions.ex_date = told.session AND actions.source = told.source
ANTI JOIN incoming_actions USING (ticker, ex_date, kind)
ANTI JOIN incoming_rejects AS refused
    ON refused.kind = 'action' AND refused.key = actions.ticker || '@' || actions.ex_date || '@' || actions.kind
ORDER BY actions.ticker, actions.ex_date, actions.kind;


-- name: actions_withdraw
-- writes: actions (ticker, ex_date, kind)
-- grain: one deleted row per withdrawn action; its last vintage is in action_revisions
DELETE FROM actions
WHERE (ticker, ex_date, kind) IN (SELECT (ticker, ex_date, kind) FROM superseding);


-- name: bar_conflicts
-- grain: one row per incoming bar that another source already holds with different numbers, or another session
SELECT
    'bar' AS kind, source,
    ticker || '@' || session AS key,
    CASE change
        WHEN 'repeat' THEN 'repeats the bar of another session'
        ELSE 'another source holds this bar with different numbers'
    END AS reason,
    to_json({
        'ticker': ticker, 'session': session, 'open': open, 'high': high, 'low': low,
        'close': close, 'volume': volume, 'held_by': stored_source
    })::VARCHAR AS record,
    payload_id
FROM conflicting
ORDER BY key;


-- name: action_conflicts
-- grain: one row per incoming action that another source already holds with a different value
SELECT
    'action' AS kind, source,
    ticker || '@' || ex_date || '/' || kind AS key,
    'another source holds this action with a different value' AS reason,
    to_json({
        'ticker': ticker, 'ex_date': ex_date, 'kind': kind, 'value': value, 'held_by': stored_source
    })::VARCHAR AS record,
    payload_id
FROM conflicting
ORDER BY key;


-- name: bar_supersede
-- writes: bar_revisions (ticker, session, vintage)
-- grain: one inserted row per stored bar about to be replaced by a newer vintage
INSERT INTO bar_revisions BY NAME
SELECT
    bars.*,
    $now::TIMESTAMPTZ AS superseded_at
FROM bars
SEMI JOIN superseding USING (ticker, session);


-- name: action_supersede
-- writes: action_revisions (ticker, ex_date, kind, vintage)
-- grain: one inserted row per stored action about to be replaced by a newer vintage
INSERT INTO action_revisions BY NAME
SELECT
    actions.*,
    $now::TIMESTAMPTZ AS superseded_at
FROM actions
SEMI JOIN superseding USING (ticker, ex_date, kind);
