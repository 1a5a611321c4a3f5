CREATE TABLE IF NOT EXISTS looks (
    look_id            VARCHAR NOT NULL,
    dataset_id         VARCHAR NOT NULL,
    split              VARCHAR NOT NULL,
    predictor          VARCHAR NOT NULL,
    model_id           VARCHAR,
    spec_id            VARCHAR NOT NULL,
    sessions           DATE[] NOT NULL,
    n_examples         BIGINT NOT NULL,
    predictions_sha256 VARCHAR NOT NULL,
    looked_at          TIMESTAMPTZ NOT NULL
);

COMMENT ON TABLE looks IS
    'One row per look: predictions of one predictor that were held against the outcomes of a split.';
COMMENT ON COLUMN looks.look_id IS 'Id of the look, a hash in hex of what was looked at.';
COMMENT ON COLUMN looks.dataset_id IS 'Id of the data set, as in datasets.';
COMMENT ON COLUMN looks.split IS 'Split whose outcomes were seen: test or final.';
COMMENT ON COLUMN looks.predictor IS 'Name of the predictor.';
COMMENT ON COLUMN looks.model_id IS
    'Id of the model, as in models; NULL for a predictor that is no registered model.';
COMMENT ON COLUMN looks.spec_id IS
    'Id of the example specification (clock, label, wording, features): the hash that names it.';
COMMENT ON COLUMN looks.sessions IS
    'Exchange-local dates of the sessions whose outcomes were seen, in order.';
COMMENT ON COLUMN looks.n_examples IS 'Number of examples.';
COMMENT ON COLUMN looks.predictions_sha256 IS
    'Hash in hex of all its P(up), so that predictions which were made anew since are another look.';
COMMENT ON COLUMN looks.looked_at IS 'UTC instant of the look.';
