-- grain: one row per example that differs between two data sets, with what differs
WITH sides AS (
    SELECT
        coalesce(a.example_id, b.example_id) AS example_id,
        a.split AS split_a,
        b.split AS split_b,
        CASE
            WHEN a.example_id IS NULL THEN ['added']
            WHEN b.example_id IS NULL THEN ['removed']
            ELSE list_filter([
                CASE WHEN a.split <> b.split THEN 'split' END,
                CASE WHEN a.input IS DISTINCT FROM b.input
                          AND a.headline_ids IS DISTINCT FROM b.headline_ids THEN 'headlines' END,
                CASE WHEN a.input IS DISTINCT FROM b.input
                          AND a.headline_ids IS NOT DISTINCT FROM b.headline_ids THEN 'wording' END,
                CASE WHEN a.output IS DISTINCT FROM b.output THEN 'label' END,
                CASE WHEN a.label_return IS DISTINCT FROM b.label_return THEN 'return' END,
                CASE WHEN (a.decision_ts, a.label_start_ts, a.label_end_ts)
                          IS DISTINCT FROM (b.decision_ts, b.label_start_ts, b.label_end_ts)
                     THEN 'clock' END
            ], lambda what: what IS NOT NULL)
        END AS differs
    FROM rows_a AS a
    FULL JOIN rows_b AS b USING (example_id)
)
SELECT *
FROM sides
WHERE len(differs) > 0
ORDER BY example_id;
