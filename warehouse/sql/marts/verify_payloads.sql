-- grain: one row per payload body in the landing zone
SELECT DISTINCT payload_id
FROM payloads
ORDER BY payload_id;
