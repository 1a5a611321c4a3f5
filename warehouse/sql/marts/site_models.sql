-- grain: one row per fine-tuned model, the newest first, with its accuracy on its test split
SELECT
    models.model_id,
    models.dataset_id,
    models.recipe_name,
    models.base_model,
    models.adapter_sha256,
    models.seed,
    models.metrics,
    models.stage,
    models.created_at,
    judged.value AS accuracy,
    judged.ci_low,
    judged.ci_high,
    judged.n_examples
FROM models
LEFT JOIN evaluations AS judged
    ON judged.model_id = models.model_id
    AND judged.dataset_id = models.dataset_id
    AND judged.split = 'test'
    AND judged.slice = 'all'
    AND judged.metric = 'accuracy'
QUALIFY row_number() OVER (PARTITION BY models.model_id ORDER BY judged.evaluated_at DESC) = 1
ORDER BY models.created_at DESC, models.model_id;
