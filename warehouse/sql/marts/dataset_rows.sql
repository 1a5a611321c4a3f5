-- grain: one row per example that is chosen: its JSON line, and its columns
WITH hours AS (
    -- Worded once per session, not once per row.
    SELECT
        decision_ts,
        label_start_ts,
        label_end_ts,
        strftime(decision_ts, '%Y-%m-%dT%H:%M:%SZ')    AS decision_text,
        strftime(label_start_ts, '%Y-%m-%dT%H:%M:%SZ') AS label_start_text,
        strftime(label_end_ts, '%Y-%m-%dT%H:%M:%SZ')   AS label_end_text
    FROM (SELECT DISTINCT decision_ts, label_start_ts, label_end_ts FROM chosen)
)
SELECT
    to_json({
        input: e.input,
        output: CASE e.label WHEN 'up' THEN $up ELSE $down END,
        meta: {
            example_id: e.example_id,
            ticker: e.ticker,
            session: e.session,
            decision_ts: h.decision_text,
            label_start_ts: h.label_start_text,
            label_end_ts: h.label_end_text,
            label_return: e.label_return,
            headline_ids: e.headline_ids
        }
    })::VARCHAR || chr(10)                                  AS line,
    e.input,
    CASE e.label WHEN 'up' THEN $up ELSE $down END          AS output,
    e.example_id,
    e.ticker,
    e.session,
    e.decision_ts,
    e.label_start_ts,
    e.label_end_ts,
    e.label_return,
    e.headline_ids
FROM chosen AS e
JOIN hours AS h USING (decision_ts, label_start_ts, label_end_ts)
ORDER BY e.session, e.ticker;
