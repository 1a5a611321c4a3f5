-- The hash chain over what must never change, and what is verified against files.


-- name: seal_records
-- builds: seal_records
-- grain: one row per record that must never change once written, with the hash of its content
-- A candidate may still be trained again; from nomination on a model is what it was.
-- Instants enter as microseconds, so the hash depends on no time zone or display format.
CREATE OR REPLACE TEMP TABLE seal_records AS
SELECT
    'prediction' AS subject,
    prediction_id AS record_id,
    sha256(CAST(to_json({
        kind: kind, predictor: predictor, model_id: model_id, dataset_id: dataset_id,
        spec_id: spec_id, example_id: example_id, ticker: ticker, session: session,
        decision_ts: epoch_us(decision_ts), p_up: p_up, predicted_at: epoch_us(predicted_at),
        headline_ids: headline_ids, input_sha256: input_sha256
    }) AS VARCHAR)) AS row_hash,
    predicted_at AS written_at
FROM predictions
WHERE kind = 'forward'
UNION ALL
SELECT
    'payload',
    concat_ws(' ', payload_id, url),
    sha256(CAST(to_json({
        source: source, status: status, headers: headers, bytes: bytes,
        fetched_at: epoch_us(fetched_at)
    }) AS VARCHAR)),
    fetched_at
FROM payloads
UNION ALL
SELECT
    'dataset',
    dataset_id,
    sha256(CAST(to_json({
        spec_id: spec_id, snapshot_id: snapshot_id, created_at: epoch_us(created_at),
        manifest: manifest
    }) AS VARCHAR)),
    created_at
FROM datasets
UNION ALL
SELECT
    'model',
    model_id,
    sha256(CAST(to_json({
        dataset_id: dataset_id, recipe_name: recipe_name, base_model: base_model,
        adapter_sha256: adapter_sha256, seed: seed, recipe: recipe, created_at: epoch_us(created_at)
    }) AS VARCHAR)),
    created_at
FROM models
WHERE stage <> 'candidate'
UNION ALL
SELECT
    'look',
    look_id,
    sha256(CAST(to_json({
        dataset_id: dataset_id, split: split, predictor: predictor, model_id: model_id,
        spec_id: spec_id, sessions: sessions, n_examples: n_examples,
        predictions_sha256: predictions_sha256, looked_at: epoch_us(looked_at)
    }) AS VARCHAR)),
    looked_at
FROM looks;


-- name: seal_append
-- writes: seals (seal_no), sealed_rows (subject, record_id)
-- grain: one row: the new seal, or none when every record is sealed already (reads seal_records)
CREATE OR REPLACE TEMP TABLE seal_next AS
WITH fresh AS (
    SELECT records.subject, records.record_id, records.row_hash
    FROM seal_records AS records
    ANTI JOIN sealed_rows USING (subject, record_id)
), content AS (
    SELECT
        count(*) AS rows,
        sha256(string_agg(concat_ws(' ', subject, record_id, row_hash), chr(10) ORDER BY subject, record_id))
            AS content_hash
    FROM fresh
), head AS (
    SELECT coalesce(max(seal_no), 0) AS seal_no, coalesce(arg_max(hash, seal_no), '') AS hash
    FROM seals
)
SELECT
    head.seal_no + 1 AS seal_no,
    content.rows,
    content.content_hash,
    head.hash AS prev_hash,
    sha256(concat_ws('|',
        head.hash, content.content_hash, content.rows, epoch_us(CAST($now AS TIMESTAMPTZ))
    )) AS hash,
    CAST($now AS TIMESTAMPTZ) AS sealed_at
FROM content, head
WHERE content.rows > 0;

INSERT INTO sealed_rows BY NAME
SELECT seal_next.seal_no, records.subject, records.record_id, records.row_hash
FROM seal_records AS records
ANTI JOIN sealed_rows USING (subject, record_id)
CROSS JOIN seal_next;

INSERT INTO seals BY NAME FROM seal_next;

FROM seal_next;


-- name: seal_chain
-- grain: one row per seal, oldest first
SELECT *
FROM seals
ORDER BY seal_no;


-- name: seal_findings
-- grain: one row per record or seal that is not as it was sealed, with what is wrong (reads seal_records)
WITH resealed AS (
    SELECT
        seal_no,
        count(*) AS rows,
        sha256(string_agg(concat_ws(' ', subject, record_id, row_hash), chr(10) ORDER BY subject, record_id))
            AS content_hash
    FROM sealed_rows
    GROUP BY seal_no
), chained AS (
    SELECT
        *,
        coalesce(lag(hash) OVER (ORDER BY seal_no), '') AS expected_prev_hash,
        coalesce(lag(seal_no) OVER (ORDER BY seal_no), 0) + 1 AS expected_seal_no,
        lag(sealed_at) OVER (ORDER BY seal_no) AS previous_sealed_at
    FROM seals
), findings AS (
    SELECT sealed.subject, sealed.record_id, 'altered after it was sealed' AS problem, sealed.seal_no
    FROM sealed_rows AS sealed
    INNER JOIN seal_records AS records USING (subject, record_id)
    WHERE records.row_hash <> sealed.row_hash
    UNION ALL
    SELECT sealed.subject, sealed.record_id, 'deleted after it was sealed', sealed.seal_no
    FROM sealed_rows AS sealed
    ANTI JOIN seal_records USING (subject, record_id)
    UNION ALL
    SELECT
        'seal',
        CAST(chained.seal_no AS VARCHAR),
        'its list of sealed rows was altered',
        chained.seal_no
    FROM chained
    LEFT JOIN resealed USING (seal_no)
    WHERE resealed.content_hash IS DISTINCT FROM chained.content_hash
        OR resealed.rows IS DISTINCT FROM chained.rows
    UNION ALL
    SELECT
        'seal',
        CAST(seal_no AS VARCHAR),
        'the chain is broken here: this seal or the one before it was altered or removed',
        seal_no
    FROM chained
    WHERE prev_hash <> expected_prev_hash
        OR seal_no <> expected_seal_no
        OR hash <> sha256(concat_ws('|', prev_hash, content_hash, rows, epoch_us(sealed_at)))
    UNION ALL
    SELECT
        sealed.subject,
        sealed.record_id,
        'claims to have been written before a seal that does not hold it',
        sealed.seal_no
    FROM sealed_rows AS sealed
    INNER JOIN seal_records AS records USING (subject, record_id)
    INNER JOIN chained USING (seal_no)
    WHERE sealed.subject = 'prediction'
        AND records.written_at < chained.previous_sealed_at
)
SELECT subject, record_id, problem, seal_no
FROM findings
ORDER BY seal_no, subject, record_id, problem;


-- name: verify_datasets
-- grain: one row per data set
SELECT dataset_id, path, manifest
FROM datasets
ORDER BY dataset_id;


-- name: verify_payloads
-- grain: one row per payload body in the landing zone
SELECT DISTINCT payload_id
FROM payloads
ORDER BY payload_id;


-- name: deposit_links
-- feeds: deposits
-- grain: one row per link of the chain behind link $after, oldest first
SELECT seal_no, rows, content_hash, prev_hash, hash, sealed_at
FROM seals
WHERE seal_no > $after
ORDER BY seal_no;


-- name: deposit_predictions
-- grain: one row per forward prediction sealed by a link behind link $after
SELECT sealed.seal_no, predictions.* EXCLUDE (kind)
FROM sealed_rows AS sealed
INNER JOIN predictions
    ON predictions.kind = 'forward'
    AND predictions.prediction_id = sealed.record_id
WHERE sealed.subject = 'prediction' AND sealed.seal_no > $after
ORDER BY sealed.seal_no, predictions.prediction_id;


-- name: deposit_last
-- grain: one row: the last deposit that a witness took, NULLs if it took none
SELECT max(seal_no) AS seal_no, arg_max(deposited_at, seal_no) AS deposited_at
FROM deposits
WHERE witness = $witness;


-- name: deposit_differences
-- grain: one row per prediction that the warehouse does not hold as it was deposited (reads deposited)
-- $last: the last link deposited; no prediction may have been sealed up to there that is not in a deposit.
WITH held AS (
    SELECT sealed.seal_no, predictions.* EXCLUDE (kind)
    FROM sealed_rows AS sealed
    INNER JOIN predictions
        ON predictions.kind = 'forward'
        AND predictions.prediction_id = sealed.record_id
    WHERE sealed.subject = 'prediction' AND sealed.seal_no <= $last
), paired AS (
    SELECT
        coalesce(deposited.prediction_id, held.prediction_id) AS prediction_id,
        coalesce(deposited.seal_no, held.seal_no) AS seal_no,
        CASE
            WHEN held.prediction_id IS NULL THEN 'was deposited and is gone'
            WHEN deposited.prediction_id IS NULL THEN 'was slipped into a link after that was deposited'
            WHEN held IS DISTINCT FROM deposited THEN 'is not as it was deposited'
        END AS problem
    FROM deposited
    FULL JOIN held USING (prediction_id)
)
SELECT prediction_id, problem
FROM paired
WHERE problem IS NOT NULL
ORDER BY seal_no, prediction_id;
