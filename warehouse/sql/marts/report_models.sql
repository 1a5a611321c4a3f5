-- grain: one row per model fine-tuned on data set $dataset_id, the newest first
SELECT
    model_id, recipe_name, base_model, adapter_sha256, path, seed, recipe, environment, metrics,
    stage, created_at
FROM models
WHERE dataset_id = $dataset_id
ORDER BY created_at DESC, model_id;
