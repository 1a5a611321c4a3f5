-- grain: one row per record that must never change once written, with the hash of its content
-- A candidate may still be trained again; from nomination on a model is what it was.
-- Instants enter as microseconds, so the hash depends on no time zone or display format.
CREATE OR REPLACE TEMP TABLE seal_records AS
SELECT
    'prediction' AS subject,
    prediction_id AS record_id,
    sha256(CAST(to_json({
        kind: kind,
        predictor: predictor,
        model_id: model_id,
        dataset_id: dataset_id,
        spec_id: spec_id,
        example_id: example_id,
        ticker: ticker,
        session: session,
        decision_ts: epoch_us(decision_ts),
        p_up: p_up,
        predicted_at: epoch_us(predicted_at),
        headline_ids: headline_ids,
        input_sha256: input_sha256
    }) AS VARCHAR)) AS row_hash,
    predicted_at AS written_at
FROM predictions
WHERE kind = 'forward'
UNION ALL
SELECT
    'payload',
    concat_ws(' ', payload_id, url),
    sha256(CAST(to_json({
        source: source,
        status: status,
        headers: headers,
        bytes: bytes,
        fetched_at: epoch_us(fetched_at)
    }) AS VARCHAR)),
    fetched_at
FROM payloads
UNION ALL
SELECT
    'dataset',
    dataset_id,
    sha256(CAST(to_json({
        spec_id: spec_id,
        snapshot_id: snapshot_id,
        created_at: epoch_us(created_at),
        manifest: manifest
    }) AS VARCHAR)),
    created_at
FROM datasets
UNION ALL
SELECT
    'model',
    model_id,
    sha256(CAST(to_json({
        dataset_id: dataset_id,
        recipe_name: recipe_name,
        base_model: base_model,
        adapter_sha256: adapter_sha256,
        seed: seed,
        recipe: recipe,
        created_at: epoch_us(created_at)
    }) AS VARCHAR)),
    created_at
FROM models
WHERE stage <> 'candidate';
