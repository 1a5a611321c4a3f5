-- grain: one row per forward prediction and headline that it saw
-- position: from 1, as shown in the prompt, oldest first. p_up_without: the same predictor's P(up) once the headline
-- is left out; its effect is p_up of the prediction less that.
CREATE TABLE IF NOT EXISTS explanations (
    prediction_id VARCHAR NOT NULL,
    headline_id   VARCHAR NOT NULL,
    position      INTEGER NOT NULL,
    p_up_without  DOUBLE NOT NULL,
    explained_at  TIMESTAMPTZ NOT NULL
);
