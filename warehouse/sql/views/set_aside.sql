-- grain: one row per spec and session that its newest data set sets aside as a final holdout not opened yet
CREATE OR REPLACE TEMP VIEW set_aside AS
WITH newest AS (
    SELECT
        spec_id,
        CAST(manifest ->> '$.splits.final.first_session' AS DATE) AS first_session,
        CAST(manifest ->> '$.splits.final.last_session' AS DATE) AS last_session
    FROM datasets
    QUALIFY row_number() OVER (PARTITION BY spec_id ORDER BY created_at DESC, dataset_id) = 1
)
SELECT DISTINCT examples.spec_id, examples.session
FROM newest
INNER JOIN examples
    ON examples.spec_id = newest.spec_id
    AND examples.session BETWEEN newest.first_session AND newest.last_session
WHERE examples.session NOT IN (SELECT unnest(sessions) FROM looks WHERE split = 'final');
