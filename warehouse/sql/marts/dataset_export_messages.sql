-- grain: one line per example of the split, as a conversation of two turns
COPY (
    SELECT
        [
            {role: 'user', content: input},
            {role: 'assistant', content: output}
        ] AS messages
    FROM split_lines
    ORDER BY line
) TO $path (FORMAT json);
