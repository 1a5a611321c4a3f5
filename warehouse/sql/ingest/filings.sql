-- Filings: when EDGAR accepted them.


-- name: filings_accepted
-- grain: one row per filing of one submissions answer, in order
-- stamp: acceptanceDateTime without its Z. For some companies it is UTC, as the Z says, for others New York
-- time. accepted_at is, in this order: `header`, the SGML header's second, which is New York time; `evidence`,
-- the one of the two readings that can be; `file`, what at least $enough filings of the same answer show by
-- evidence; `later`, the later reading, which is that in New York time and the safe one.
-- A reading can be where EDGAR was open, that had happened by $fetched_at, and that fits the filing date. A
-- filing date alone does not prove the earlier reading, since it may be adjusted (17 CFR 232.13(b)): for that
-- the other one must lie outside EDGAR's hours, or no filing of the answer speak for New York time.
-- $punctual: forms whose filing date follows from the acceptance. $staff: how accession numbers begin of what the
-- SEC's staff files at its own hours, which is evidence of nothing.
-- opened_at: 06:00 of the filing date, before which EDGAR shows nobody what it dates by that day.
WITH read AS (
    SELECT
        filings.position, filings.accession, filings.form, filings.filed,
        filings.stamp AT TIME ZONE 'UTC' AS as_utc,
        filings.stamp AT TIME ZONE 'America/New_York' AS as_local,
        headers.accepted AT TIME ZONE 'America/New_York' AS as_header,
        list_contains($punctual::VARCHAR[], filings.form) AS punctual,
        list_contains($staff::VARCHAR[], left(filings.accession, 10)) AS by_staff
    FROM filings
    LEFT JOIN headers USING (accession)
),

possible AS (
    SELECT
        *,
        edgar_is_open(as_utc) AND as_utc <= $fetched_at::TIMESTAMPTZ
        AND fits_filing_date(as_utc, filed, punctual) AS can_be_utc,
        edgar_is_open(as_local) AND as_local <= $fetched_at::TIMESTAMPTZ AS can_be_local_by_hour,
        fits_filing_date(as_local, filed, punctual) AS can_be_local_by_date
    FROM read
),

judged AS (
    SELECT
        *,
        NOT by_staff AND can_be_utc AND NOT can_be_local_by_hour AS is_utc,
        NOT by_staff AND can_be_utc AND NOT (can_be_local_by_hour AND can_be_local_by_date) AS seems_utc,
        NOT by_staff AND NOT can_be_utc AND can_be_local_by_hour AND can_be_local_by_date AS is_local
    FROM possible
),

counted AS (
    SELECT
        count(*) FILTER (seems_utc) >= $enough AND count(*) FILTER (is_local) = 0 AS all_utc,
        count(*) FILTER (is_local) >= $enough AND count(*) FILTER (is_utc) = 0 AS all_local
    FROM judged
),

decided AS (
    SELECT
        judged.*, counted.all_utc,
        CASE
            WHEN as_header IS NOT NULL THEN 'header'
            WHEN is_utc OR is_local THEN 'evidence'
            WHEN counted.all_utc OR counted.all_local THEN 'file'
            ELSE 'later'
        END AS reading
    FROM judged, counted
)

SELECT
    accession,
    CASE
        WHEN reading = 'header' THEN as_header
        WHEN is_utc OR (reading = 'file' AND all_utc) THEN as_utc
        ELSE as_local
    END AS accepted_at,
    reading,
    (filed + INTERVAL 6 HOURS) AT TIME ZONE 'America/New_York' AS opened_at
FROM decided
ORDER BY position;
