-- grain: one row per example of the split
COPY (
    SELECT
        e.input,
        CASE e.label WHEN 'up' THEN $up ELSE $down END AS output,
        e.example_id,
        e.ticker,
        e.session,
        e.decision_ts,
        e.label_start_ts,
        e.label_end_ts,
        e.label_return,
        e.headline_ids
    FROM split_rows AS r
    JOIN examples AS e ON e.spec_id = $spec_id AND e.ticker = r.ticker AND e.session = r.session
    WHERE r.fate = $split AND r.session BETWEEN $first_session AND $last_session
        AND e.session BETWEEN $first_session AND $last_session
    ORDER BY e.session, e.ticker
) TO $path (FORMAT parquet, COMPRESSION zstd);
