-- grain: one row per ticker and session whose stored example differs from the derived one
CREATE OR REPLACE TEMP TABLE example_changes AS
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

SELECT count(*) AS changes FROM example_changes;
