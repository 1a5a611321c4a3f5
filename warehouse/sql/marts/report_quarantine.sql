-- grain: one row per kind, source and reason, with one rejected record as the example
SELECT
    kind,
    source,
    reason,
    count(*) AS records,
    min(key) AS example_key,
    arg_min(record, (key, quarantine_id)) AS example_record,
    arg_min(payload_id, (key, quarantine_id)) AS example_payload_id
FROM quarantine
GROUP BY kind, source, reason
ORDER BY kind, source, records DESC, reason;
