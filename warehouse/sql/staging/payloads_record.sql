-- grain: one inserted row per payload and URL not yet known; the first fetch of equal bytes keeps its time
INSERT INTO payloads BY NAME
SELECT incoming_payloads.*
FROM incoming_payloads
ANTI JOIN payloads USING (payload_id, url)
QUALIFY row_number() OVER (PARTITION BY payload_id, url ORDER BY fetched_at) = 1;
