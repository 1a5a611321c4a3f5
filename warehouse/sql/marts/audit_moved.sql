-- grain: one row per column in which an example decided by $until differs between the two builds
-- An example that only one build has counts as differing in `presence`. Labels are compared once
-- their window had ended, unless a bar was revised since.
WITH pairs AS (
    SELECT
        coalesce(f.example_id, o.example_id) AS example_id,
        f.ticker IS NULL OR o.ticker IS NULL AS lone,
        f,
        o
    FROM full_examples AS f
    FULL JOIN fresh_examples AS o USING (example_id)
    ANTI JOIN disturbed USING (example_id)
    WHERE coalesce(f.decision_ts, o.decision_ts) <= $until
), named AS (
    SELECT
        example_id,
        unnest([
            CASE WHEN lone THEN 'presence' END,
            CASE WHEN NOT lone AND f.input IS DISTINCT FROM o.input THEN 'input' END,
            CASE WHEN NOT lone AND f.headline_ids IS DISTINCT FROM o.headline_ids
                 THEN 'headline_ids' END,
            CASE WHEN NOT lone AND f.previous_return IS DISTINCT FROM o.previous_return
                 THEN 'previous_return' END,
            CASE WHEN NOT lone AND f.max_input_available_at IS DISTINCT FROM o.max_input_available_at
                 THEN 'max_input_available_at' END,
            CASE WHEN NOT lone AND f.availability IS DISTINCT FROM o.availability
                 THEN 'availability' END,
            CASE WHEN NOT lone AND $compare_labels AND f.label_end_ts < $until
                      AND f.label_return IS DISTINCT FROM o.label_return
                      AND NOT EXISTS (
                          SELECT 1 FROM lake.main.bar_revisions AS r WHERE r.ticker = f.ticker
                      )
                 THEN 'label_return' END
        ]) AS moved
    FROM pairs
)
SELECT moved AS what, count(*) AS rows, min(example_id) AS first_example
FROM named
WHERE moved IS NOT NULL
GROUP BY moved
ORDER BY moved;
