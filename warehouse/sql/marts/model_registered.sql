-- grain: one row per model of the two whose data set is known to this warehouse
SELECT models.model_id
FROM models
INNER JOIN datasets USING (dataset_id)
WHERE models.model_id IN ($challenger, $champion);
