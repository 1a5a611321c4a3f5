-- grain: one line per example of the split, as PIXIU's FinBen has its classification tasks
COPY (
    SELECT
        example_id           AS id,
        input                AS query,
        output               AS answer,
        input                AS text,
        [$up, $down]         AS choices,
        CASE WHEN output = $up THEN 0 ELSE 1 END AS gold
    FROM split_lines
    ORDER BY line
) TO $path (FORMAT json);
