-- grain: one line per example of the split
COPY (
    WITH rows AS (
        SELECT e.*
        FROM split_rows AS r
        JOIN examples AS e
            ON e.spec_id = $spec_id AND e.ticker = r.ticker AND e.session = r.session
        WHERE r.fate = $split AND r.session BETWEEN $first_session AND $last_session
            AND e.session BETWEEN $first_session AND $last_session
    ), hours AS (
        -- Worded once per session, not once per row.
        SELECT
            decision_ts,
            label_start_ts,
            label_end_ts,
            strftime(decision_ts, '%Y-%m-%dT%H:%M:%SZ')    AS decision_text,
            strftime(label_start_ts, '%Y-%m-%dT%H:%M:%SZ') AS label_start_text,
            strftime(label_end_ts, '%Y-%m-%dT%H:%M:%SZ')   AS label_end_text
        FROM (SELECT DISTINCT decision_ts, label_start_ts, label_end_ts FROM rows)
    )
    SELECT
        e.input,
        CASE e.label WHEN 'up' THEN $up ELSE $down END AS output,
        {
            example_id: e.example_id,
            ticker: e.ticker,
            session: e.session,
            decision_ts: h.decision_text,
            label_start_ts: h.label_start_text,
            label_end_ts: h.label_end_text,
            label_return: e.label_return,
            headline_ids: e.headline_ids
        } AS meta
    FROM rows AS e
    JOIN hours AS h USING (decision_ts, label_start_ts, label_end_ts)
    ORDER BY e.session, e.ticker
) TO $path (FORMAT json);
