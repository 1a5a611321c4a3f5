-- grain: one updated row per model whose stage changes
-- There is one champion at most: whoever held the place is retired in the same commit.
UPDATE models
SET stage = CASE
    WHEN model_id = $model_id THEN $stage
    ELSE 'retired'
END
WHERE (model_id = $model_id AND stage <> $stage)
    OR ($stage = 'champion' AND stage = 'champion' AND model_id <> $model_id);
