-- grain: one line per example of the split, as a prompt and its completion
COPY (
    SELECT
        input         AS prompt,
        ' ' || output AS completion
    FROM split_lines
    ORDER BY line
) TO $path (FORMAT json);
