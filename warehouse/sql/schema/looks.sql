-- grain: one row per look: predictions of one predictor that were held against the outcomes of a split
-- sessions: those whose outcomes were seen. predictions_sha256: of all its P(up), so that predictions which were
-- made anew since are another look. model_id NULL: a predictor that is no registered model.
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
