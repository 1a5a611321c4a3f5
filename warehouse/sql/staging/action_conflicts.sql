-- grain: one row per incoming action that another source already holds with a different value
SELECT
    'action' AS kind,
    source,
    ticker || '@' || ex_date || '/' || kind AS key,
    'another source holds this action with a different value' AS reason,
    to_json({
        'ticker': ticker, 'ex_date': ex_date, 'kind': kind, 'value': value, 'held_by': stored_source
    })::VARCHAR AS record,
    payload_id
FROM conflicting
ORDER BY key;
