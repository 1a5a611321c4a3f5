CREATE TABLE IF NOT EXISTS evaluations (
    dataset_id   VARCHAR NOT NULL,
    split        VARCHAR NOT NULL,
    slice        VARCHAR NOT NULL,
    predictor    VARCHAR NOT NULL,
    model_id     VARCHAR,
    metric       VARCHAR NOT NULL,
    baseline     VARCHAR,
    value        DOUBLE,
    ci_low       DOUBLE,
    ci_high      DOUBLE,
    n_examples   BIGINT NOT NULL,
    n_sessions   BIGINT NOT NULL,
    evaluated_at TIMESTAMPTZ NOT NULL
);

COMMENT ON TABLE evaluations IS
    'One row per data set, split, slice, predictor, model, metric and baseline: one measured figure with its '
    'interval.';
COMMENT ON COLUMN evaluations.dataset_id IS 'Id of the data set, as in datasets.';
COMMENT ON COLUMN evaluations.split IS 'Split that was scored: test, or final once it is opened.';
COMMENT ON COLUMN evaluations.slice IS
    'Part of the split: all, observed, asserted, ticker=AAPL, period=2013Q1 and the like.';
COMMENT ON COLUMN evaluations.predictor IS 'Name of the predictor that the figure is of.';
COMMENT ON COLUMN evaluations.model_id IS
    'Id of the model, as in models; NULL for a predictor that is no fine-tuned model.';
COMMENT ON COLUMN evaluations.metric IS 'Name of the metric, as the page on evaluation explains it.';
COMMENT ON COLUMN evaluations.baseline IS
    'Predictor that a difference or test is against (accuracy with a baseline is accuracy minus the '
    'baseline''s); NULL for the predictor''s own metric.';
COMMENT ON COLUMN evaluations.value IS
    'The figure in the metric''s own unit (shares from 0 to 1, cross-entropy in nats per example); NULL where '
    'it is not defined.';
COMMENT ON COLUMN evaluations.ci_low IS
    'Lower end of the interval from blocks of sessions, in the unit of value; NULL where there is none.';
COMMENT ON COLUMN evaluations.ci_high IS
    'Upper end of the interval from blocks of sessions, in the unit of value; NULL where there is none.';
COMMENT ON COLUMN evaluations.n_examples IS 'Number of examples it rests on.';
COMMENT ON COLUMN evaluations.n_sessions IS 'Number of sessions it rests on.';
COMMENT ON COLUMN evaluations.evaluated_at IS 'UTC instant of the evaluation.';
