-- grain: one row on what was hidden; addresses of payloads, in the ledger's errors and in the quarantine
-- bear *** in place of passwords and of query values such as token, key or signature
-- The hash chain names payloads by their addresses, so its links are made anew over what they held; a link
-- that did not fit before does not fit afterwards either.
CREATE OR REPLACE TEMP MACRO less_secrets(words) AS regexp_replace(
    regexp_replace(words, '(\b[a-z][a-z0-9+.-]*://)[^/?#\s"''<>]*@', '\1***@', 'gi'),
    '([?&;#](?:[\w.-]*\[)?(?:key|sig|hmac|pass|pw|pwd|auth|oauth|jwt|crumb'
    || '|auth[-_.]?(?:orization|entication|key|code|string|header)'
    || '|[\w.-]*(?:token|secret|passw|passphrase|signature|credential|bearer|session[-_.]?id)[\w.-]*'
    || '|[\w.-]*(?:api|access|app|auth|client|private|subscription|consumer|license|signing|developer)'
    || '[-_.]?key)\]?=)[^&#\s"''<>]*',
    '\1***', 'gi'
);

-- Two addresses that differed in their secret alone stay two records.
CREATE OR REPLACE TEMP TABLE hidden_addresses AS
SELECT
    payload_id, url,
    less_secrets(url) || if(copy > 1, '#' || copy, '') AS shown
FROM (
    SELECT
        payload_id, url,
        row_number() OVER (PARTITION BY payload_id, less_secrets(url) ORDER BY fetched_at, url) AS copy
    FROM payloads
    QUALIFY bool_or(less_secrets(url) <> url) OVER (PARTITION BY payload_id, less_secrets(url))
)
WHERE less_secrets(url) <> url OR copy > 1;

CREATE OR REPLACE TEMP TABLE hidden_errors AS
SELECT source, key, range_start, range_end
FROM partitions
WHERE less_secrets(error) <> error;

CREATE OR REPLACE TEMP TABLE hidden_rejects AS
SELECT quarantine_id
FROM quarantine
WHERE less_secrets(reason) <> reason OR (kind = 'payload' AND less_secrets(record) <> record);

CREATE OR REPLACE TEMP TABLE former_links AS
SELECT
    seals.*,
    row_number() OVER (ORDER BY seals.seal_no) AS place,
    listed.content_hash IS NOT DISTINCT FROM seals.content_hash AS fits,
    seals.prev_hash = coalesce(lag(seals.hash) OVER (ORDER BY seals.seal_no), '')
    AND seals.hash = sha256(
        concat_ws('|', seals.prev_hash, seals.content_hash, seals.rows, epoch_us(seals.sealed_at))
    ) AS follows
FROM seals
LEFT JOIN (
    SELECT
        seal_no,
        sha256(
            string_agg(concat_ws(' ', subject, record_id, row_hash), chr(10) ORDER BY subject, record_id)
        ) AS content_hash
    FROM sealed_rows
    GROUP BY seal_no
) AS listed USING (seal_no);

UPDATE payloads
SET url = hidden.shown
FROM hidden_addresses AS hidden
WHERE payloads.payload_id = hidden.payload_id AND payloads.url = hidden.url;

UPDATE sealed_rows
SET record_id = concat_ws(' ', hidden.payload_id, hidden.shown)
FROM hidden_addresses AS hidden
WHERE
    sealed_rows.subject = 'payload'
    AND sealed_rows.record_id = concat_ws(' ', hidden.payload_id, hidden.url);

UPDATE seals
SET content_hash = links.content_hash, prev_hash = links.prev_hash, hash = links.hash
FROM (
    WITH RECURSIVE listed AS (
        SELECT
            seal_no,
            sha256(
                string_agg(concat_ws(' ', subject, record_id, row_hash), chr(10) ORDER BY subject, record_id)
            ) AS content_hash
        FROM sealed_rows
        GROUP BY seal_no
    ),

    renewed AS (
        SELECT
            former.place, former.seal_no, former.rows, former.sealed_at, former.follows,
            former.prev_hash, former.hash,
            if(former.fits, listed.content_hash, former.content_hash) AS content_hash
        FROM former_links AS former
        LEFT JOIN listed USING (seal_no)
    ),

    links AS (
        SELECT
            place, seal_no, content_hash, prev_hash,
            if(
                follows,
                sha256(concat_ws('|', prev_hash, content_hash, rows, epoch_us(sealed_at))),
                hash
            ) AS hash
        FROM renewed
        WHERE place = 1
        UNION ALL
        SELECT
            renewed.place, renewed.seal_no, renewed.content_hash,
            if(renewed.follows, links.hash, renewed.prev_hash),
            if(
                renewed.follows,
                sha256(
                    concat_ws('|', links.hash, renewed.content_hash, renewed.rows, epoch_us(renewed.sealed_at))
                ),
                renewed.hash
            )
        FROM links
        INNER JOIN renewed ON links.place + 1 = renewed.place
    )

    SELECT * FROM links
) AS links
WHERE
    seals.seal_no = links.seal_no
    AND (seals.hash <> links.hash OR seals.content_hash <> links.content_hash)
    AND EXISTS (SELECT 1 FROM hidden_addresses);

UPDATE partitions
SET error = less_secrets(error)
WHERE less_secrets(error) <> error;

-- Also what rejects are told apart by: read again, they are the same rejections.
UPDATE quarantine
SET
    reason = less_secrets(reason),
    record = if(kind = 'payload', less_secrets(record), record),
    quarantine_id = sha256(concat_ws(
        chr(31), kind, source, key, less_secrets(reason), if(kind = 'payload', less_secrets(record), record)
    ))
WHERE less_secrets(reason) <> reason OR (kind = 'payload' AND less_secrets(record) <> record);

SELECT
    found.addresses || ' addresses of payloads, ' || found.errors || ' errors of the ledger and '
    || found.rejects || ' quarantined records held secrets, which are hidden now. Old snapshots, backups, '
    || 'reports and the logs of Prefect may still hold them: have the vendors replace these secrets, and '
    || 'refer to the new ones as ${NAME}. '
    || CASE
        WHEN found.links = 0 THEN ''
        ELSE 'The hash chain has a new head, ' || found.head || '; keep it in place of the old one.'
    END AS words
FROM (
    SELECT
        (SELECT count(*) FROM hidden_addresses) AS addresses,
        (SELECT count(*) FROM hidden_errors) AS errors,
        (SELECT count(*) FROM hidden_rejects) AS rejects,
        (SELECT count(*) FROM seals INNER JOIN former_links USING (seal_no) WHERE seals.hash <> former_links.hash)
            AS links,
        (SELECT arg_max(hash, seal_no) FROM seals) AS head
) AS found
WHERE found.addresses + found.errors + found.rejects > 0;
