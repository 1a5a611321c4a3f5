-- grain: one row per incoming forward prediction, with its fate
-- fate: added | repeated | late | backdated | already committed. Only `added` ones are written; none is
-- ever updated.
CREATE OR REPLACE TEMP TABLE forward_incoming AS
WITH identified AS (
    SELECT
        sha256(concat_ws('|', 'forward', predictor, coalesce(model_id, ''), spec_id, example_id))
            AS prediction_id,
        *
    FROM incoming_predictions
), last_seal AS (
    SELECT max(sealed_at) AS sealed_at
    FROM seals
)
SELECT
    identified.*,
    CASE
        WHEN stored.prediction_id IS NOT NULL
            THEN if(stored.p_up = identified.p_up, 'repeated', 'already committed')
        WHEN identified.predicted_at >= identified.label_start_ts THEN 'late'
        WHEN identified.predicted_at < last_seal.sealed_at THEN 'backdated'
        ELSE 'added'
    END AS fate
FROM identified
CROSS JOIN last_seal
LEFT JOIN predictions AS stored
    ON stored.prediction_id = identified.prediction_id
    AND stored.kind = 'forward';

INSERT INTO predictions BY NAME
SELECT
    prediction_id,
    'forward' AS kind,
    predictor,
    model_id,
    dataset_id,
    spec_id,
    example_id,
    ticker,
    session,
    decision_ts,
    p_up,
    predicted_at,
    headline_ids,
    sha256(input) AS input_sha256
FROM forward_incoming
WHERE fate = 'added';

SELECT predictor, model_id, example_id, ticker, session, predicted_at, label_start_ts, fate
FROM forward_incoming
ORDER BY predictor, session, ticker, example_id;
