-- grain: one row per asked record: its hash now, the hash it was sealed with, and by which seal (reads seal_records)
SELECT
    records.row_hash AS present_hash,
    sealed.row_hash AS sealed_hash,
    sealed.seal_no,
    seals.sealed_at
FROM seal_records AS records
LEFT JOIN sealed_rows AS sealed USING (subject, record_id)
LEFT JOIN seals USING (seal_no)
WHERE records.subject = $subject
    AND records.record_id = $record_id;
