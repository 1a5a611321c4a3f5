-- grain: one row per ex-date and kind of action in the client's frame, which spells "none" 0
-- fetched_on NULL: the vendor quotes dividends on the share basis of their own ex-date.
SELECT
    $ticker AS ticker,
    ex_date,
    kind,
    value,
    CASE WHEN kind = 'split' THEN ex_date ELSE coalesce($fetched_on::DATE, ex_date) END AS basis_date,
    $source AS source,
    $payload_id AS payload_id
FROM (UNPIVOT client ON dividend, split INTO NAME kind VALUE value)
WHERE value <> 0
ORDER BY ex_date, kind;
