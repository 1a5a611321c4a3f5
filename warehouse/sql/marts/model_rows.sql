-- grain: one row per model, newest first
SELECT *
FROM models
ORDER BY created_at DESC, model_id;
