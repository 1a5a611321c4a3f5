-- grain: one row per payload that any row of the warehouse refers to
SELECT payload_id FROM payloads
UNION SELECT payload_id FROM partitions
UNION SELECT payload_id FROM quarantine
UNION SELECT payload_id FROM bars
UNION SELECT payload_id FROM bar_revisions
UNION SELECT payload_id FROM actions
UNION SELECT payload_id FROM action_revisions
UNION SELECT payload_id FROM headlines
UNION SELECT payload_id FROM headline_revisions
UNION SELECT record_id FROM sealed_rows WHERE subject = 'payload';
