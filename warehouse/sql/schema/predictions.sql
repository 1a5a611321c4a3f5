-- grain: one row per predictor (or model), kind and example
-- kind: backtest (scored after the outcome was known) | forward (committed before label_start_ts, never
-- changed afterwards) | recall (a base model asked without news: its memory; predictor: which base, and a hash of
-- how it was asked). headline_ids and input_sha256 say what a forward prediction saw; NULL for the others.
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
