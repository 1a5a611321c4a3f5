-- grain: one row per ticker, session and superseded vintage whose open-to-close direction has changed
-- The two vintages' returns are compared, so their share bases need not agree. Directions follow the
-- label rule: above $upper up, at or below $lower down, else none.
WITH returns AS (
    SELECT
        former.ticker,
        former.session,
        former.source,
        former.vintage,
        former.recorded_at,
        former.superseded_at,
        former.payload_id AS former_payload_id,
        bars.payload_id,
        round(former.close / former.open - 1, 10) AS former_return,
        round(bars.close / bars.open - 1, 10) AS current_return
    FROM bar_revisions AS former
    INNER JOIN bars USING (ticker, session)
),

directions AS (
    SELECT
        *,
        CASE
            WHEN former_return = 0 THEN 'none'
            WHEN former_return > $upper THEN 'up'
            WHEN former_return <= $lower THEN 'down'
            ELSE 'none'
        END AS former_direction,
        CASE
            WHEN current_return = 0 THEN 'none'
            WHEN current_return > $upper THEN 'up'
            WHEN current_return <= $lower THEN 'down'
            ELSE 'none'
        END AS current_direction
    FROM returns
)

SELECT *
FROM directions
WHERE former_direction <> current_direction
ORDER BY ticker, session, vintage;
