-- grain: one line per example of the split, as template-free segments of which the second is learnt
COPY (
    SELECT
        [
            {label: false, text: input},
            {label: true, text: ' ' || output}
        ] AS segments
    FROM split_lines
    ORDER BY line
) TO $path (FORMAT json);
