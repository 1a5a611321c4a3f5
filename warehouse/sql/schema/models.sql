-- grain: one row per fine-tuned model (a base model plus one adapter)
-- stage: candidate | challenger | champion | retired. JSON text in recipe, environment and metrics.
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
