-- grain: one row per spec and session in the final holdout of one of its data sets that no look has ever seen
CREATE OR REPLACE TEMP VIEW set_aside AS
WITH held AS (
    SELECT DISTINCT
        spec_id,
        CAST(manifest ->> '$.splits.final.first_session' AS DATE) AS first_session,
        CAST(manifest ->> '$.splits.final.last_session' AS DATE) AS last_session
    FROM datasets
)
SELECT DISTINCT examples.spec_id, examples.session
FROM held
INNER JOIN examples
    ON examples.spec_id = held.spec_id
    AND examples.session BETWEEN held.first_session AND held.last_session
WHERE examples.session NOT IN (SELECT unnest(sessions) FROM looks);
