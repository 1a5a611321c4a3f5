-- grain: one line per example of the split, as FinGPT's instruction tuning has it
COPY (
    SELECT
        $question AS instruction,
        input,
        output
    FROM split_lines
    ORDER BY line
) TO $path (FORMAT json);
