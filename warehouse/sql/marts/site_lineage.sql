-- grain: one row per example with a forward prediction in $sessions
-- predictions: who said what and when, and whether the example still reads as it did then;
-- headlines: what they saw, with the payload it came from.
WITH asked AS (
    SELECT
        predictions.*,
        coalesce(predictions.headline_ids, examples.headline_ids) AS seen_ids,
        input_sha256 <> sha256(input) AS rewritten
    FROM predictions
    JOIN examples USING (spec_id, example_id)
    WHERE kind = 'forward' AND list_contains($sessions, predictions.session)
),
predicted AS (
    SELECT
        spec_id,
        example_id,
        list(
            {
                'predictor': predictor,
                'model_id': model_id,
                'dataset_id': dataset_id,
                'prediction_id': prediction_id,
                'p_up': p_up,
                'predicted_at': predicted_at,
                'rewritten': coalesce(rewritten, false)
            }
            ORDER BY predictor, prediction_id
        ) AS predictions
    FROM asked
    GROUP BY spec_id, example_id
),
seen AS (
    SELECT DISTINCT spec_id, example_id, unnest(seen_ids) AS headline_id
    FROM asked
),
told AS (
    SELECT
        spec_id,
        example_id,
        list(
            {
                'headline_id': headline_id,
                'title': title,
                'source': source,
                'url': payloads.url,
                'available_at': available_at,
                'availability': availability,
                'payload_id': headlines.payload_id,
                'fetched_at': payloads.fetched_at
            }
            ORDER BY available_at, headline_id
        ) AS headlines
    FROM seen
    JOIN headlines USING (headline_id)
    LEFT JOIN (
        SELECT payload_id, min(url) AS url, min(fetched_at) AS fetched_at
        FROM payloads
        GROUP BY payload_id
    ) AS payloads USING (payload_id)
    GROUP BY spec_id, example_id
)
SELECT
    examples.session,
    examples.ticker,
    examples.example_id,
    examples.spec_id,
    examples.decision_ts,
    examples.max_input_available_at,
    examples.label_start_ts,
    examples.label_end_ts,
    examples.label,
    examples.label_reason,
    examples.label_return,
    predicted.predictions,
    coalesce(told.headlines, []) AS headlines,
    bars.source AS bar_source,
    bars.payload_id AS bar_payload_id,
    bars.vintage AS bar_vintage
FROM predicted
JOIN examples USING (spec_id, example_id)
LEFT JOIN told USING (spec_id, example_id)
LEFT JOIN bars ON bars.ticker = examples.ticker AND bars.session = examples.session
ORDER BY examples.session, examples.ticker, examples.example_id;
