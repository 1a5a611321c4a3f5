-- grain: one row, comparing the stored examples with what the warehouse gives now
SELECT
    'the example'                              AS what,
    count(*) FILTER (f IS DISTINCT FROM e)     AS rows,
    min(coalesce(f.example_id, e.example_id))
        FILTER (f IS DISTINCT FROM e)          AS first_example
FROM full_examples AS f
FULL JOIN (SELECT * FROM lake.main.examples WHERE spec_id = $spec_id) AS e USING (example_id);
