-- grain: one inserted row per rejected record and reason not yet known
-- The id leaves the payload out: the same bad row read again in another answer is the same rejection.
INSERT INTO quarantine BY NAME
WITH identified AS (
    SELECT
        sha256(concat_ws(chr(31), kind, source, key, reason, record)) AS quarantine_id,
        kind,
        source,
        key,
        reason,
        record,
        payload_id,
        $now::TIMESTAMPTZ AS quarantined_at
    FROM incoming_rejects
)

SELECT identified.*
FROM identified
ANTI JOIN quarantine USING (quarantine_id)
QUALIFY row_number() OVER (PARTITION BY quarantine_id ORDER BY payload_id) = 1;
