CREATE TABLE IF NOT EXISTS explanations (
    prediction_id VARCHAR NOT NULL,
    headline_id   VARCHAR NOT NULL,
    position      INTEGER NOT NULL,
    p_up_without  DOUBLE NOT NULL,
    explained_at  TIMESTAMPTZ NOT NULL
);

COMMENT ON TABLE explanations IS 'One row per forward prediction and headline that it saw.';
COMMENT ON COLUMN explanations.prediction_id IS 'The prediction, as in predictions.';
COMMENT ON COLUMN explanations.headline_id IS 'The headline that is left out, as in headlines.';
COMMENT ON COLUMN explanations.position IS 'Place of the headline in the prompt, from 1, oldest first.';
COMMENT ON COLUMN explanations.p_up_without IS
    'P(up) by the same predictor once the headline is left out, from 0 to 1; its effect is p_up of the '
    'prediction less that.';
COMMENT ON COLUMN explanations.explained_at IS 'UTC instant of the explanation.';
