-- grain: one line per example of the split, as an Alpaca row, the prompt being the instruction
COPY (
    SELECT
        input  AS instruction,
        ''     AS input,
        output AS output
    FROM split_lines
    ORDER BY line
) TO $path (FORMAT json);
