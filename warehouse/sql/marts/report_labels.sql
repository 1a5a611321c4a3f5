-- grain: one row per label and label reason of the examples of $spec_id
SELECT label, label_reason, count(*) AS examples
FROM examples
WHERE spec_id = $spec_id
GROUP BY label, label_reason
ORDER BY label DESC NULLS LAST, examples DESC, label_reason;
