CREATE TABLE IF NOT EXISTS models (
    model_id       VARCHAR NOT NULL,
    dataset_id     VARCHAR NOT NULL,
    recipe_name    VARCHAR NOT NULL,
    base_model     VARCHAR NOT NULL,
    adapter_sha256 VARCHAR NOT NULL,
    path           VARCHAR NOT NULL,
    seed           INTEGER NOT NULL,
    recipe         VARCHAR NOT NULL,
    environment    VARCHAR NOT NULL,
    metrics        VARCHAR NOT NULL,
    stage          VARCHAR NOT NULL,
    created_at     TIMESTAMPTZ NOT NULL
);

COMMENT ON TABLE models IS 'One row per fine-tuned model: a base model plus one adapter.';
COMMENT ON COLUMN models.model_id IS
    'Id of the model: a hash in hex of recipe, seed, and training and validation rows.';
COMMENT ON COLUMN models.dataset_id IS 'Data set that it was fine-tuned on, as in datasets.';
COMMENT ON COLUMN models.recipe_name IS 'Name of its recipe.';
COMMENT ON COLUMN models.base_model IS 'Name of the base model.';
COMMENT ON COLUMN models.adapter_sha256 IS 'sha256 in hex of the adapter''s weights.';
COMMENT ON COLUMN models.path IS 'Folder of the adapter, relative to the data root.';
COMMENT ON COLUMN models.seed IS 'Seed of the training run.';
COMMENT ON COLUMN models.recipe IS 'The whole recipe, as JSON text.';
COMMENT ON COLUMN models.environment IS 'Versions, device and precision of the training run, as JSON text.';
COMMENT ON COLUMN models.metrics IS
    'Losses (nats per token or row), rows, steps and seconds of the run, as JSON text.';
COMMENT ON COLUMN models.stage IS 'candidate, challenger, champion or retired.';
COMMENT ON COLUMN models.created_at IS 'UTC instant at which it was registered.';
