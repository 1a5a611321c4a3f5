-- grain: one row per decision moment drawn
SELECT decision_ts
FROM (SELECT DISTINCT decision_ts FROM full_examples)
ORDER BY md5(epoch_us(decision_ts)::VARCHAR || $seed)
LIMIT $moments;
