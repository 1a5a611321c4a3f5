-- grain: one row: the new seal, or none when every record is sealed already (reads seal_records)
CREATE OR REPLACE TEMP TABLE seal_next AS
WITH fresh AS (
    SELECT records.subject, records.record_id, records.row_hash
    FROM seal_records AS records
    ANTI JOIN sealed_rows USING (subject, record_id)
), content AS (
    SELECT
        count(*) AS rows,
        sha256(string_agg(concat_ws(' ', subject, record_id, row_hash), chr(10) ORDER BY subject, record_id))
            AS content_hash
    FROM fresh
), head AS (
    SELECT coalesce(max(seal_no), 0) AS seal_no, coalesce(arg_max(hash, seal_no), '') AS hash
    FROM seals
)
SELECT
    head.seal_no + 1 AS seal_no,
    content.rows,
    content.content_hash,
    head.hash AS prev_hash,
    sha256(concat_ws('|',
        head.hash, content.content_hash, content.rows, epoch_us(CAST($now AS TIMESTAMPTZ))
    )) AS hash,
    CAST($now AS TIMESTAMPTZ) AS sealed_at
FROM content, head
WHERE content.rows > 0;

INSERT INTO sealed_rows BY NAME
SELECT seal_next.seal_no, records.subject, records.record_id, records.row_hash
FROM seal_records AS records
ANTI JOIN sealed_rows USING (subject, record_id)
CROSS JOIN seal_next;

INSERT INTO seals BY NAME FROM seal_next;

FROM seal_next;
