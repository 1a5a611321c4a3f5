-- grain: one row per split and file of it: the whole, or one calendar month
-- membership: which rows are in the file, whatever their order; their content is another matter.
SELECT
    fate                                                            AS split,
    CASE WHEN $monthly THEN strftime(session, '-%Y-%m') ELSE '' END AS suffix,
    min(session)                                                    AS first_session,
    max(session)                                                    AS last_session,
    count(*)                                                        AS rows,
    format('{:016x}', bit_xor(hash(ticker, session)))               AS membership
FROM split_rows
WHERE fate IN ('train', 'validation', 'test')
GROUP BY ALL
ORDER BY ALL;
