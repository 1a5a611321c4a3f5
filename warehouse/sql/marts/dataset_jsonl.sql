-- grain: one line per example of the split
COPY (
    SELECT
        e.input,
        CASE e.label WHEN 'up' THEN $up ELSE $down END AS output,
        {
            example_id: e.example_id,
            ticker: e.ticker,
            session: e.session,
            decision_ts: strftime(e.decision_ts, '%Y-%m-%dT%H:%M:%SZ'),
            label_start_ts: strftime(e.label_start_ts, '%Y-%m-%dT%H:%M:%SZ'),
            label_end_ts: strftime(e.label_end_ts, '%Y-%m-%dT%H:%M:%SZ'),
            label_return: e.label_return,
            headline_ids: e.headline_ids
        } AS meta
    FROM split_rows AS r
    JOIN examples AS e ON e.spec_id = $spec_id AND e.ticker = r.ticker AND e.session = r.session
    WHERE r.fate = $split AND r.session BETWEEN $first_session AND $last_session
        AND e.session BETWEEN $first_session AND $last_session
    ORDER BY e.session, e.ticker
) TO $path (FORMAT json);
