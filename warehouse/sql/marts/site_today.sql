-- grain: one row per predictor and ticker predicted for the latest forward session
-- headlines: what the prediction saw, oldest first.
WITH latest AS (
    SELECT max(session) AS session
    FROM predictions
    WHERE kind = 'forward'
),
shown AS (
    SELECT
        predictions.* EXCLUDE (headline_ids),
        coalesce(predictions.headline_ids, examples.headline_ids) AS seen_ids,
        examples.label,
        examples.label_reason,
        examples.label_return,
        examples.label_start_ts,
        examples.label_end_ts
    FROM predictions
    JOIN latest USING (session)
    JOIN examples USING (spec_id, example_id)
    WHERE kind = 'forward'
),
seen AS (
    SELECT prediction_id, unnest(seen_ids) AS headline_id
    FROM shown
),
told AS (
    SELECT
        prediction_id,
        list(
            {'title': title, 'source': source, 'available_at': available_at, 'synthetic': synthetic}
            ORDER BY available_at, headline_id
        ) AS headlines
    FROM seen
    JOIN headlines USING (headline_id)
    GROUP BY prediction_id
)
SELECT
    shown.prediction_id,
    shown.predictor,
    shown.model_id,
    shown.dataset_id,
    shown.ticker,
    shown.session,
    shown.decision_ts,
    shown.predicted_at,
    shown.label_start_ts,
    shown.label_end_ts,
    shown.p_up,
    shown.predicted_at >= shown.label_start_ts AS late,
    shown.label,
    shown.label_return,
    coalesce(told.headlines, []) AS headlines
FROM shown
LEFT JOIN told USING (prediction_id)
ORDER BY shown.predictor, abs(shown.p_up - 0.5) DESC, shown.ticker;
