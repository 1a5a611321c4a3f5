-- grain: one row per incoming bar that another source already holds with different numbers
SELECT
    'bar' AS kind,
    source,
    ticker || '@' || session AS key,
    'another source holds this bar with different numbers' AS reason,
    to_json({
        'ticker': ticker, 'session': session, 'open': open, 'high': high, 'low': low,
        'close': close, 'volume': volume, 'held_by': stored_source
    })::VARCHAR AS record,
    payload_id
FROM conflicting
ORDER BY key;
