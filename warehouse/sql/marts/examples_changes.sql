-- grain: one row per ticker and session whose stored example differs from the fresh one
CREATE OR REPLACE TEMP TABLE example_changes AS
SELECT
    coalesce(fresh.ticker, stored.ticker)   AS ticker,
    coalesce(fresh.session, stored.session) AS session
FROM fresh_examples AS fresh
FULL JOIN (
    SELECT * FROM examples WHERE spec_id = $spec_id AND session >= $from_session
) AS stored
    ON fresh.ticker = stored.ticker AND fresh.session = stored.session
WHERE fresh IS DISTINCT FROM stored;

SELECT count(*) AS changes FROM example_changes;
