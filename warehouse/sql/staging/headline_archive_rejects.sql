-- grain: one row per archive row that cannot be used
SELECT
    'headline' AS kind,
    $source AS source,
    coalesce(ticker, '*') AS key,
    reason,
    to_json({
        'row': position, 'title': left(title, 1000), 'date': published, 'guid': guid, 'link': url
    })::VARCHAR AS record,
    $payload_id AS payload_id
FROM judged
WHERE reason IS NOT NULL
ORDER BY position;
