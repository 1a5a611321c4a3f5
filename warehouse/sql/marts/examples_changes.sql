-- grain: one row per ticker and session whose stored example differs from the derived one
SELECT
    coalesce(fresh.ticker, stored.ticker)   AS ticker,
    coalesce(fresh.session, stored.session) AS session
FROM derived AS fresh
FULL JOIN (
    SELECT *
    FROM examples
    WHERE spec_id = $spec_id AND session >= $from_session AND session < $until_session
) AS stored
    ON fresh.ticker = stored.ticker AND fresh.session = stored.session
WHERE fresh IS DISTINCT FROM stored;
