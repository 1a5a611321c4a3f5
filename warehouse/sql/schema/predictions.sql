CREATE TABLE IF NOT EXISTS predictions (
    prediction_id VARCHAR NOT NULL,
    kind          VARCHAR NOT NULL,
    predictor     VARCHAR NOT NULL,
    model_id      VARCHAR,
    dataset_id    VARCHAR,
    spec_id       VARCHAR NOT NULL,
    example_id    VARCHAR NOT NULL,
    ticker        VARCHAR NOT NULL,
    session       DATE NOT NULL,
    decision_ts   TIMESTAMPTZ NOT NULL,
    p_up          DOUBLE NOT NULL,
    predicted_at  TIMESTAMPTZ NOT NULL,
    headline_ids  VARCHAR[],
    input_sha256  VARCHAR
);

COMMENT ON TABLE predictions IS 'One row per predictor (or model), kind and example.';
COMMENT ON COLUMN predictions.prediction_id IS
    'Id of the prediction, a hash in hex of kind, predictor, model and example.';
COMMENT ON COLUMN predictions.kind IS
    'backtest (scored after the outcome was known), forward (committed before label_start_ts, never changed '
    'afterwards) or recall (a base model asked without news: its memory).';
COMMENT ON COLUMN predictions.predictor IS
    'Name of the predictor; of a recall which base model, and a hash of how it was asked.';
COMMENT ON COLUMN predictions.model_id IS
    'Id of the model, as in models; NULL for a predictor that is no fine-tuned model.';
COMMENT ON COLUMN predictions.dataset_id IS
    'Id of the data set, as in datasets; NULL where the prediction is of none.';
COMMENT ON COLUMN predictions.spec_id IS
    'Id of the example specification (clock, label, wording, features): the hash that names it.';
COMMENT ON COLUMN predictions.example_id IS 'TICKER@SESSION: the example, unique within its specification.';
COMMENT ON COLUMN predictions.ticker IS 'Symbol of the share or index, in capitals, as the universe has it.';
COMMENT ON COLUMN predictions.session IS 'Exchange-local date of the session that is predicted.';
COMMENT ON COLUMN predictions.decision_ts IS 'UTC instant of the example''s decision.';
COMMENT ON COLUMN predictions.p_up IS 'Probability that the label is up, from 0 to 1.';
COMMENT ON COLUMN predictions.predicted_at IS 'UTC instant of the prediction.';
COMMENT ON COLUMN predictions.headline_ids IS
    'Headlines that a forward prediction saw, oldest first; NULL for the other kinds.';
COMMENT ON COLUMN predictions.input_sha256 IS
    'Hash in hex of the prompt that a forward prediction saw; NULL for the other kinds.';
