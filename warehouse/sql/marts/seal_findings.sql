-- grain: one row per record or seal that is not as it was sealed, with what is wrong (reads seal_records)
WITH resealed AS (
    SELECT
        seal_no,
        count(*) AS rows,
        sha256(string_agg(concat_ws(' ', subject, record_id, row_hash), chr(10) ORDER BY subject, record_id))
            AS content_hash
    FROM sealed_rows
    GROUP BY seal_no
), chained AS (
    SELECT
        *,
        coalesce(lag(hash) OVER (ORDER BY seal_no), '') AS expected_prev_hash,
        coalesce(lag(seal_no) OVER (ORDER BY seal_no), 0) + 1 AS expected_seal_no,
        lag(sealed_at) OVER (ORDER BY seal_no) AS previous_sealed_at
    FROM seals
), findings AS (
    SELECT sealed.subject, sealed.record_id, 'altered after it was sealed' AS problem, sealed.seal_no
    FROM sealed_rows AS sealed
    INNER JOIN seal_records AS records USING (subject, record_id)
    WHERE records.row_hash <> sealed.row_hash
    UNION ALL
    SELECT sealed.subject, sealed.record_id, 'deleted after it was sealed', sealed.seal_no
    FROM sealed_rows AS sealed
    ANTI JOIN seal_records USING (subject, record_id)
    UNION ALL
    SELECT
        'seal',
        CAST(chained.seal_no AS VARCHAR),
        'its list of sealed rows was altered',
        chained.seal_no
    FROM chained
    LEFT JOIN resealed USING (seal_no)
    WHERE resealed.content_hash IS DISTINCT FROM chained.content_hash
        OR resealed.rows IS DISTINCT FROM chained.rows
    UNION ALL
    SELECT
        'seal',
        CAST(seal_no AS VARCHAR),
        'the chain is broken here: this seal or the one before it was altered or removed',
        seal_no
    FROM chained
    WHERE prev_hash <> expected_prev_hash
        OR seal_no <> expected_seal_no
        OR hash <> sha256(concat_ws('|', prev_hash, content_hash, rows, epoch_us(sealed_at)))
    UNION ALL
    SELECT
        sealed.subject,
        sealed.record_id,
        'claims to have been written before a seal that does not hold it',
        sealed.seal_no
    FROM sealed_rows AS sealed
    INNER JOIN seal_records AS records USING (subject, record_id)
    INNER JOIN chained USING (seal_no)
    WHERE sealed.subject = 'prediction'
        AND records.written_at < chained.previous_sealed_at
)
SELECT subject, record_id, problem, seal_no
FROM findings
ORDER BY seal_no, subject, record_id, problem;
