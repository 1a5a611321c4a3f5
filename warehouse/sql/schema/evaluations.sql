-- grain: one row per data set, split, slice, predictor, model, metric and baseline
-- baseline: what a difference or a test is against (accuracy with a baseline is accuracy minus the
-- baseline's); NULL for the predictor's own metric.
-- slice: 'all', 'observed', 'asserted', 'ticker=AAPL', … ; model_id NULL for a baseline.
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
