-- grain: one row per model whose evaluation chose when to make no call
-- threshold: least distance of P(up) from one half at which a call is made; NULL: no call may be made. error: the
-- share of calls that may be wrong, as stated.
CREATE OR REPLACE TEMP VIEW call_thresholds AS
SELECT
    evaluations.model_id,
    any_value(value) FILTER (metric = 'abstention_threshold') AS threshold,
    any_value(value) FILTER (metric = 'abstention_error') AS error
FROM evaluations
INNER JOIN models USING (model_id, dataset_id)
WHERE split = 'test'
    AND slice = 'all'
    AND predictor = 'fine_tuned'
    AND metric IN ('abstention_threshold', 'abstention_error')
GROUP BY evaluations.model_id;
