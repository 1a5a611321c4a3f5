-- Memberships of a dated universe: read from a file, judged, and asked for.


-- name: memberships_of_intervals
-- builds: judged
-- grain: one row per line of a file of intervals, with the reason it is refused for, if it is
-- Tables: lines (line, ticker, member_from, member_until, as text). inclusive: member_until is the last day of
-- membership, not the first day without it. dashed: a class of shares is written with a dash (BRK-B).
CREATE OR REPLACE TEMP TABLE judged AS
WITH read AS (
    SELECT
        line,
        class_of_shares(upper(trim(coalesce(ticker, ''))), $dashed) AS ticker,
        written_day(member_from) AS member_from,
        written_day(member_until) + CASE WHEN $inclusive THEN 1 ELSE 0 END AS member_until,
        is_blank(member_from) AS begins_blank,
        is_blank(member_until) AS is_member_still,
        to_json({ticker: ticker, member_from: member_from, member_until: member_until})::VARCHAR AS record
    FROM lines
),

alone AS (
    SELECT
        *,
        CASE
            WHEN ticker = '' THEN 'the ticker is blank'
            WHEN NOT is_symbol(ticker) THEN 'the ticker is not a symbol'
            WHEN begins_blank THEN 'the first day of membership is blank'
            WHEN member_from IS NULL THEN 'the first day of membership is not a date (YYYY-MM-DD)'
            WHEN member_until IS NULL AND NOT is_member_still
                THEN 'the end of membership is not a date (YYYY-MM-DD)'
            WHEN member_until <= member_from THEN 'the membership ends on or before its first day'
        END AS reason
    FROM read
),

-- The same interval twice is one; of two that overlap the one that begins later is refused.
single AS (
    SELECT *
    FROM alone
    QUALIFY
        reason IS NOT NULL
        OR row_number() OVER (PARTITION BY reason, ticker, member_from, member_until ORDER BY line) = 1
)

SELECT
    line, ticker, member_from, member_until, record,
    coalesce(
        reason,
        CASE
            WHEN max(coalesce(member_until, 'infinity'::DATE)) FILTER (WHERE reason IS NULL) OVER earlier
                > member_from
                THEN 'it overlaps an earlier membership of the same ticker'
        END
    ) AS reason
FROM single
WINDOW earlier AS (
    PARTITION BY ticker
    ORDER BY member_from, line
    ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING
);


-- name: memberships_of_lists
-- builds: judged_days, judged
-- grain: one row per ticker of each list, with the reason it is refused for, if it is; and per refused list
-- Tables: lines (line, day, names, as text): all members from a day on, until the day of the next list.
CREATE OR REPLACE TEMP TABLE judged_days AS
WITH read AS (
    SELECT line, day AS written, written_day(day) AS day, trim(coalesce(names, '')) AS names
    FROM lines
),

single AS (
    SELECT *
    FROM read
    QUALIFY day IS NULL OR row_number() OVER (PARTITION BY day, names ORDER BY line) = 1
)

SELECT
    *,
    CASE
        WHEN day IS NULL THEN 'the day of a list is not a date (YYYY-MM-DD)'
        WHEN names = '' THEN 'the list of members is empty'
        WHEN row_number() OVER (PARTITION BY day ORDER BY line) > 1
            THEN 'another list of the same day differs from it'
    END AS reason
FROM single;

CREATE OR REPLACE TEMP TABLE judged AS
WITH good AS (
    SELECT line, day, names, lead(day) OVER (ORDER BY day) AS next_day
    FROM judged_days
    WHERE reason IS NULL
),

named AS (
    SELECT DISTINCT
        line, day, next_day,
        class_of_shares(upper(trim(unnest(string_split_regex(names, '[,;|]')))), $dashed) AS ticker
    FROM good
)

SELECT
    line, ticker, day AS member_from, next_day AS member_until,
    to_json({ticker: ticker, day: day})::VARCHAR AS record,
    CASE
        WHEN ticker = '' THEN 'the ticker is blank'
        WHEN NOT is_symbol(ticker) THEN 'the ticker is not a symbol'
    END AS reason
FROM named
UNION ALL
SELECT
    line, '', day, NULL,
    to_json({day: written, members: left(names, 200)})::VARCHAR, reason
FROM judged_days
WHERE reason IS NOT NULL;


-- name: memberships_accepted
-- grain: one row per membership: touching ones of a ticker are one
WITH kept AS (
    SELECT
        ticker, member_from, member_until,
        coalesce(lag(member_until) OVER by_day, '-infinity'::DATE) < member_from AS begins
    FROM judged
    WHERE reason IS NULL
    WINDOW by_day AS (PARTITION BY ticker ORDER BY member_from)
),

numbered AS (
    SELECT *, count(*) FILTER (WHERE begins) OVER (PARTITION BY ticker ORDER BY member_from) AS island
    FROM kept
)

SELECT
    ticker,
    min(member_from) AS member_from,
    nullif(max(coalesce(member_until, 'infinity'::DATE)), 'infinity'::DATE) AS member_until
FROM numbered
GROUP BY ticker, island
ORDER BY ticker, member_from;


-- name: memberships_refused
-- grain: one row per refused line, or ticker of one, in the order of the file
SELECT line, ticker, record, reason
FROM judged
WHERE reason IS NOT NULL
ORDER BY line, ticker;


-- name: renames_until
-- feeds: tickers
-- grain: one row per former symbol, symbol that followed it in the end, and day from which it is former
-- Tables: aliases. A symbol that was given up by $today and taken by another company later begins anew there.
WITH RECURSIVE steps AS (
    SELECT DISTINCT alias AS former, ticker, valid_from AS renamed_on
    FROM aliases
    WHERE kind = 'former_symbol' AND ticker <> '' AND alias <> ticker AND valid_from <= $today::DATE
),

chains AS (
    SELECT former, ticker, renamed_on, renamed_on AS latest FROM steps
    UNION
    SELECT chains.former, steps.ticker, chains.renamed_on, steps.renamed_on
    FROM chains
    INNER JOIN steps ON chains.ticker = steps.former AND chains.latest < steps.renamed_on
)

SELECT former, arg_max(ticker, latest) AS ticker, renamed_on
FROM chains
GROUP BY former, renamed_on
ORDER BY former, renamed_on;


-- name: memberships_asked
-- grain: one row per kind (prices | headlines), symbol and inclusive range that may be asked for it
-- Tables: memberships, renames. A membership reaches $before days back and $after days on: context and labels
-- need the bars around it. Bars are asked for under the symbol of today, which has the whole history; news
-- under the symbol of its day. ended: the first day without membership, if the last one is over by $today.
WITH reaching AS (
    SELECT
        ticker, member_until,
        greatest(member_from - $before::INTEGER, DATE '1900-01-01') AS first,
        coalesce(member_until + $after::INTEGER, DATE '9999-12-31') AS last,
        member_from
    FROM memberships
),

under_symbols AS (
    SELECT
        reaching.*, renames.ticker AS successor, renames.renamed_on
    FROM reaching
    LEFT JOIN renames ON reaching.ticker = renames.former AND reaching.member_from < renames.renamed_on
    QUALIFY
        row_number() OVER (
            PARTITION BY reaching.ticker, reaching.member_from ORDER BY renames.renamed_on
        ) = 1
),

prices AS (
    SELECT coalesce(successor, ticker) AS symbol, first, last, member_until
    FROM under_symbols
),

begun AS (
    SELECT ticker AS symbol, max(renamed_on) AS first FROM renames GROUP BY ticker
),

headlines AS (
    -- Before a symbol came into use by a renaming it was another company's, if anybody's.
    SELECT
        ticker AS symbol,
        greatest(under_symbols.first, begun.first) AS first,
        least(last, renamed_on - 1) AS last,
        member_until
    FROM under_symbols
    LEFT JOIN begun ON under_symbols.ticker = begun.symbol
    UNION ALL
    SELECT renames.former, reaching.first, least(reaching.last, renames.renamed_on - 1), reaching.member_until
    FROM reaching
    INNER JOIN renames ON reaching.ticker = renames.ticker AND reaching.first < renames.renamed_on
    UNION ALL
    SELECT successor, greatest(first, renamed_on), last, member_until
    FROM under_symbols
    WHERE successor IS NOT NULL
),

kinds AS (
    SELECT 'prices' AS kind, * FROM prices
    UNION ALL
    SELECT 'headlines' AS kind, * FROM headlines WHERE first <= last
),

parted AS (
    SELECT
        *,
        coalesce(
            max(last) OVER (
                PARTITION BY kind, symbol ORDER BY first, last
                ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING
            ) < first - 1,
            TRUE
        ) AS begins
    FROM kinds
),

numbered AS (
    SELECT
        *,
        count(*) FILTER (WHERE begins) OVER (
            PARTITION BY kind, symbol ORDER BY first, last ROWS UNBOUNDED PRECEDING
        ) AS island,
        nullif(
            max(coalesce(member_until, DATE '9999-12-31')) OVER (PARTITION BY kind, symbol),
            DATE '9999-12-31'
        ) AS until
    FROM parted
)

SELECT
    kind, symbol,
    min(first) AS first,
    max(last) AS last,
    CASE WHEN any_value(until) <= $today::DATE THEN any_value(until) END AS ended
FROM numbered
GROUP BY kind, symbol, island
ORDER BY kind, symbol, first;


-- name: memberships_stored
-- grain: one row per membership of a universe as it is stored
SELECT ticker, member_from, member_until
FROM memberships
WHERE universe = $universe
ORDER BY ticker, member_from;


-- name: memberships_publish
-- writes: memberships (universe, ticker, member_from), idempotent
-- grain: one row per membership that differs: those the file no longer has go, its new ones come
DELETE FROM memberships
WHERE universe = $universe
    AND NOT EXISTS (
        SELECT 1
        FROM incoming
        WHERE incoming.ticker = memberships.ticker
            AND incoming.member_from = memberships.member_from
            AND incoming.member_until IS NOT DISTINCT FROM memberships.member_until
    );

INSERT INTO memberships BY NAME
SELECT $universe AS universe, ticker, member_from, member_until
FROM incoming
ANTI JOIN (SELECT ticker, member_from FROM memberships WHERE universe = $universe) AS stored
    USING (ticker, member_from)
ORDER BY ticker, member_from;
