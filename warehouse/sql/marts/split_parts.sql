-- grain: one row per split and file of it: the whole, or one calendar month
-- membership: which rows are in the file, whatever their order; their content is another matter.
-- pieces: the stretches of sessions, of about $piece_rows rows, in which the file is written.
WITH days AS (
    SELECT
        fate                           AS split,
        session,
        count(*)                       AS rows,
        bit_xor(hash(ticker, session)) AS membership
    FROM split_rows
    WHERE fate IN ('train', 'validation', 'test')
    GROUP BY ALL
), named AS (
    SELECT *, CASE WHEN $monthly THEN strftime(session, '-%Y-%m') ELSE '' END AS suffix
    FROM days
), numbered AS (
    SELECT
        *,
        (sum(rows) OVER (PARTITION BY split, suffix ORDER BY session) - rows) // $piece_rows AS piece
    FROM named
), pieces AS (
    SELECT
        split,
        suffix,
        min(session)        AS first_session,
        max(session)        AS last_session,
        sum(rows)           AS rows,
        bit_xor(membership) AS membership
    FROM numbered
    GROUP BY split, suffix, piece
)
SELECT
    split,
    suffix,
    min(first_session)                          AS first_session,
    max(last_session)                           AS last_session,
    sum(rows)::BIGINT                           AS rows,
    format('{:016x}', bit_xor(membership))      AS membership,
    list(
        {first_session: first_session, last_session: last_session} ORDER BY first_session
    )                                           AS pieces
FROM pieces
GROUP BY ALL
ORDER BY ALL;
