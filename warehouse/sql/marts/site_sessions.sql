-- grain: one row per session with a forward prediction, the latest first
-- digest changes when a prediction is added, an outcome arrives or an example is rewritten, so a page is rebuilt only then.
SELECT
    session,
    count(DISTINCT example_id) AS examples,
    count(*) AS predictions,
    md5(string_agg(concat_ws('|', predictor, example_id, p_up, predicted_at, label, state,
        rewritten), ';'
        ORDER BY predictor, example_id)) AS digest
FROM site_scored
WHERE predicted_at IS NOT NULL
GROUP BY session
ORDER BY session DESC;
