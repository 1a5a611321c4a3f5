-- grain: one row per forward prediction made by $asof, with its outcome if that was known by then
-- timely: made before its label window opened; one that was not is shown and never scored.
SELECT
    p.prediction_id,
    p.predictor,
    p.model_id,
    p.dataset_id,
    p.spec_id,
    p.example_id,
    p.ticker,
    p.session,
    p.decision_ts,
    p.predicted_at,
    e.label_start_ts,
    e.label_end_ts,
    p.p_up,
    p.predicted_at < e.label_start_ts             AS timely,
    if(e.label_end_ts <= $asof, e.label, NULL)        AS label,
    if(e.label_end_ts <= $asof, e.label_return, NULL) AS label_return,
    p.headline_ids,
    p.input_sha256
FROM predictions AS p
JOIN examples AS e USING (spec_id, example_id)
WHERE p.kind = 'forward' AND p.predicted_at <= $asof
ORDER BY p.predicted_at, p.predictor, p.session, p.ticker;
