-- Explanations: what each headline did to a forward prediction, and the calls that were not made.


-- name: example_of_session
-- grain: one row, the example of one spec, ticker and session; none if there is no such example
SELECT spec_id, example_id, ticker, session, decision_ts, previous_return, headline_ids, input
FROM examples
WHERE spec_id = $spec_id
    AND ticker = $ticker
    AND session = $session;


-- name: headline_titles
-- grain: one row per wanted headline: its current title
SELECT headline_id, title
FROM headlines
INNER JOIN wanted_headlines USING (headline_id)
ORDER BY headline_id;


-- name: prediction_calls
-- grain: one row per incoming prediction: its call, and its rank among those of its predictor (1: highest P(up))
SELECT
    ticker, session, decision_ts, predictor, p_up,
    call_of(p_up, call_thresholds.model_id IS NOT NULL, threshold) AS call,
    rank() OVER (PARTITION BY predictor, session ORDER BY p_up DESC) AS rank
FROM incoming_predictions AS incoming
LEFT JOIN call_thresholds USING (model_id)
ORDER BY predictor, session, rank, ticker;


-- name: explanation_publish
-- writes: explanations (prediction_id, headline_id), idempotent
-- grain: one row per forward prediction and headline that it saw (inserted unless there)
INSERT INTO explanations BY NAME
SELECT
    predictions.prediction_id,
    incoming.headline_id,
    incoming.position::INTEGER AS position,
    incoming.p_up_without,
    $now AS explained_at
FROM incoming_explanations AS incoming
INNER JOIN predictions
    ON predictions.kind = 'forward'
    AND predictions.predictor = incoming.predictor
    AND predictions.spec_id = incoming.spec_id
    AND predictions.example_id = incoming.example_id
    AND predictions.model_id IS NOT DISTINCT FROM incoming.model_id
    AND predictions.headline_ids = incoming.headline_ids
    AND predictions.p_up = incoming.p_up
WHERE (predictions.prediction_id, incoming.headline_id) NOT IN (
    SELECT (prediction_id, headline_id) FROM explanations
);


-- name: explanations_asof
-- grain: one row per forward prediction made by $asof and headline that it saw, those that moved it most first
SELECT
    explanations.prediction_id,
    forward_record.predictor,
    forward_record.model_id,
    forward_record.ticker,
    forward_record.session,
    explanations.headline_id,
    headlines.title,
    forward_record.p_up,
    explanations.p_up_without,
    forward_record.p_up - explanations.p_up_without AS effect
FROM explanations
INNER JOIN forward_record USING (prediction_id)
LEFT JOIN headlines USING (headline_id)
WHERE forward_record.predicted_at <= $asof
ORDER BY
    forward_record.session, forward_record.ticker, forward_record.predictor, explanations.prediction_id,
    abs(effect) DESC, explanations.position;
