-- Headlines: archive rows validated, observations identified, changes published.


-- name: headline_dates
-- grain: one row per archive row, in order
-- instant: the date string names a zone. wall: it does not, and the declared zone must supply it.
-- $format: a strptime format, or NULL for ISO 8601 and RFC 822. $format_has_zone: it contains %z.
WITH read AS (
    SELECT
        position, published,
        CASE
            WHEN $format IS NOT NULL THEN try_strptime(published, $format)::TIMESTAMPTZ
        END AS as_declared
    FROM dated
)

SELECT
    CASE
        WHEN $format IS NOT NULL THEN CASE WHEN $format_has_zone THEN as_declared END
        WHEN regexp_full_match(
            published,
            '\d{4}-\d\d-\d\d[T ]\d\d:\d\d(:\d\d(\.\d+)?)?\s*(Z|[+-](0\d|1[0-3])(:?[0-5]\d)?|[+-]14(:?00)?)'
        ) THEN try_cast(published AS TIMESTAMPTZ)
        WHEN regexp_full_match(
            published,
            '[A-Z][a-z]{2}, \d{1,2} [A-Z][a-z]{2} \d{4} \d\d:\d\d:\d\d ([+-](0\d|1[0-3])[0-5]\d|[+-]1400|GMT|UTC)'
        ) THEN try_strptime(
            regexp_replace(published, '(GMT|UTC)$', '+0000'), '%a, %d %b %Y %H:%M:%S %z'
        )
    END AS instant,
    CASE
        WHEN $format IS NOT NULL THEN
            CASE WHEN NOT $format_has_zone THEN as_declared AT TIME ZONE 'UTC' END
        WHEN regexp_full_match(published, '\d{4}-\d\d-\d\d[T ]\d\d:\d\d(:\d\d(\.\d+)?)?')
            THEN try_cast(published AS TIMESTAMP)
    END AS wall
FROM read
ORDER BY position;


-- name: headline_validation
-- grain: one row per archive row, with the reason it cannot be used, if there is one
SELECT
    *,
    CASE
        WHEN coalesce(title, '') = '' THEN 'no title'
        WHEN length(title) > $longest_title THEN 'title longer than ' || $longest_title || ' characters'
        WHEN published_at IS NULL AND coalesce(published, '') = '' THEN 'undated'
        WHEN published_at IS NULL AND zoneless THEN 'date without a time zone'
        WHEN published_at IS NULL THEN 'date not understood'
        WHEN published_at > $now THEN 'published in the future'
        WHEN published_at < $earliest THEN 'published before ' || year($earliest::TIMESTAMPTZ)
        -- Cases, not ANDs: the list is taken apart only where the cell is no symbol itself.
        WHEN CASE
                WHEN ticker IS NULL OR trim(ticker) = '' OR is_symbol(ticker) THEN FALSE
                WHEN listed(ticker, $separator) = [] THEN FALSE
                ELSE
                    len(list_filter(listed(ticker, $separator), lambda name: is_symbol(trim(name)))) = 0
            END
            THEN CASE
                WHEN is_symbol(upper(trim(ticker))) THEN 'ticker is not a symbol, which is in capitals'
                ELSE 'ticker is not a symbol'
            END
    END AS reason
FROM archive_rows
ORDER BY position;


-- name: headline_rejects
-- grain: one row per archive row that cannot be used
SELECT
    'headline' AS kind, $source AS source,
    coalesce(ticker, '*') AS key,
    reason,
    to_json({
        'row': position, 'title': left(title, 1000), 'date': published, 'guid': guid, 'link': url
    })::VARCHAR AS record,
    $payload_id AS payload_id
FROM validated
WHERE reason IS NOT NULL
ORDER BY position;


-- name: headline_observations
-- grain: one row per usable archive row and ticker it names
-- Names in a list that can be no symbol of a share are left out of it.
WITH split AS (
    SELECT
        * EXCLUDE (ticker),
        CASE
            WHEN coalesce(trim(ticker), '') = '' THEN NULL
            WHEN $separator IS NULL AND is_symbol(ticker) THEN [ticker]
            ELSE list_filter(
                list_transform(listed(ticker, $separator), lambda name: trim(name)),
                lambda name: is_symbol(name)
            )
        END AS tickers
    FROM validated
    WHERE reason IS NULL
),

named AS (
    SELECT
        * EXCLUDE (tickers),
        unnest(if(len(tickers) > 0, tickers, [NULL])) AS ticker
    FROM split
)

SELECT
    $source AS source, title,
    nullif(summary, '') AS summary,
    CASE WHEN regexp_full_match(url, 'https?://[^\s<>"]+', 'i') THEN url END AS url,
    nullif(guid, '') AS guid,
    published_at, $now::TIMESTAMPTZ AS first_seen_at, 'asserted' AS availability,
    $synthetic::BOOLEAN AS synthetic, $payload_id AS payload_id, $lag_us::BIGINT AS lag_us,
    position, ticker,
    CASE WHEN ticker IS NOT NULL THEN 'declared' END AS method
FROM named;


-- name: observations_identified
-- grain: one row per observation of a headline (an item in one payload, under one ticker or none)
-- A headline is its source, its instant and its (cleaned) title in whatever case: guids and links
-- change between fetches, these three do not. An edit is recognised when it is published.
SELECT
    substr(
        sha256(
            concat_ws(chr(31), source, epoch_us(published_at)::VARCHAR, lower(title))
        ), 1, 32
    ) AS headline_id,
    observations.*,
    CASE availability
        WHEN 'observed' THEN greatest(published_at, first_seen_at)
        ELSE published_at + to_microseconds(lag_us)
    END AS available_at
FROM observations;


-- name: headlines_identified
-- grain: one row per headline, as its first observation has it
SELECT
    headline_id, source, title, summary, url, guid, published_at, first_seen_at, available_at,
    availability, synthetic, payload_id
FROM identified
QUALIFY row_number() OVER (PARTITION BY headline_id ORDER BY first_seen_at, position) = 1
ORDER BY published_at, headline_id;


-- name: headline_tickers_identified
-- grain: one row per headline and ticker it was observed under
SELECT
    headline_id, ticker,
    min(method) AS method
FROM identified
WHERE ticker IS NOT NULL
GROUP BY headline_id, ticker
ORDER BY headline_id, ticker;


-- name: headline_changes
-- grain: one row per incoming headline, under the headline_id it has in the warehouse
-- An incoming headline is a stored one if it has its id; failing that, its guid or else its address,
-- within the same source and a week, and known there for one headline only: where several share a guid
-- (EDGAR files one document under each filer), the one with the same address too. A guid that comes back
-- with the same title is the same headline whatever its date. Words that a stored
-- headline has now or had in an earlier revision are no change: caches repeat stale items.
-- $first and $last span the incoming publication times, so that only their neighbours are read.
WITH nearby AS MATERIALIZED (
    SELECT
        headline_id, story_id, source, title, summary, published_at, first_seen_at, edited_at,
        available_at, availability, revision, guid, url, coalesce(guid, url) AS address
    FROM headlines
    WHERE
        published_at BETWEEN $first::TIMESTAMPTZ - INTERVAL 7 DAYS
        AND $last::TIMESTAMPTZ + INTERVAL 7 DAYS
),

unknown AS (
    SELECT incoming.*
    FROM incoming_headlines AS incoming
    ANTI JOIN nearby USING (headline_id)
),

likely AS (
    SELECT
        unknown.headline_id AS incoming_id, stored.headline_id,
        unknown.guid IS NOT DISTINCT FROM stored.guid
        AND unknown.url IS NOT DISTINCT FROM stored.url AS exact
    FROM unknown
    INNER JOIN nearby AS stored
        ON
            unknown.source = stored.source
            AND coalesce(unknown.guid, unknown.url) = stored.address
            AND (
                abs(epoch(unknown.published_at) - epoch(stored.published_at)) <= 7 * 86400
                OR (unknown.guid = stored.guid AND unknown.title = stored.title)
            )
),

edits AS (
    SELECT
        incoming_id,
        coalesce(any_value(headline_id) FILTER (WHERE exact), any_value(headline_id)) AS headline_id
    FROM likely
    GROUP BY incoming_id
    HAVING count(*) FILTER (WHERE exact) = 1 OR count(*) = 1
),

-- Two incoming headlines cannot both be the edit of one: then the guid says nothing.
certain AS (
    SELECT * FROM edits
    QUALIFY count(*) OVER (PARTITION BY headline_id) = 1
),

pairs AS (
    SELECT
        incoming.* EXCLUDE (headline_id),
        incoming.headline_id AS incoming_id,
        coalesce(certain.headline_id, incoming.headline_id) AS headline_id
    FROM incoming_headlines AS incoming
    LEFT JOIN certain ON incoming.headline_id = certain.incoming_id
),

compared AS (
    SELECT
        pairs.*,
        stored.revision AS stored_revision, stored.story_id AS stored_story_id,
        stored.published_at AS stored_published_at, stored.first_seen_at AS stored_first_seen_at,
        stored.available_at AS stored_available_at, stored.availability AS stored_availability,
        stored.title <> pairs.title
        OR coalesce(stored.summary <> pairs.summary, FALSE) AS other_words,
        stored.availability = 'asserted' AND pairs.availability = 'asserted'
        AND stored.edited_at IS NULL AND stored.available_at <> pairs.available_at
        AND stored.published_at = pairs.published_at AS other_lag
    FROM pairs
    LEFT JOIN nearby AS stored USING (headline_id)
)

SELECT
    compared.incoming_id, compared.headline_id,
    coalesce(stored_story_id, compared.headline_id) AS story_id,
    compared.source, compared.title, compared.summary, compared.url, compared.guid,
    coalesce(stored_published_at, compared.published_at) AS published_at,
    coalesce(stored_first_seen_at, compared.first_seen_at) AS first_seen_at,
    CASE WHEN other_words THEN compared.first_seen_at END AS edited_at,
    CASE
        WHEN other_words
            THEN greatest(compared.available_at, compared.first_seen_at, stored_available_at)
        ELSE compared.available_at
    END AS available_at,
    coalesce(stored_availability, compared.availability) AS availability,
    compared.synthetic, compared.payload_id,
    (coalesce(stored_revision, 0) + 1)::INTEGER AS revision,
    CASE
        WHEN stored_revision IS NULL THEN 'new'
        WHEN other_lag AND NOT other_words THEN 'revised'
        WHEN NOT other_words OR earlier.headline_id IS NOT NULL THEN 'same'
        ELSE 'revised'
    END AS change
FROM compared
LEFT JOIN (
    SELECT DISTINCT headline_id, title, coalesce(summary, '') AS summary
    FROM headline_revisions
) AS earlier
    ON
        compared.headline_id = earlier.headline_id
        AND compared.title = earlier.title
        AND coalesce(compared.summary, '') = earlier.summary
ORDER BY published_at, compared.headline_id;


-- name: headline_supersede
-- writes: headline_revisions (headline_id, revision)
-- grain: one inserted row per stored headline about to be replaced by a newer revision
INSERT INTO headline_revisions BY NAME
SELECT
    headline_id, revision, title, summary, published_at, available_at, payload_id,
    $now::TIMESTAMPTZ AS superseded_at
FROM headlines
SEMI JOIN superseding USING (headline_id);


-- name: headline_tickers_record
-- writes: headline_tickers (headline_id, ticker), idempotent
-- grain: one inserted row per headline and ticker not yet known
INSERT INTO headline_tickers BY NAME
SELECT
    changes.headline_id, pairs.ticker,
    min(pairs.method) AS method
FROM incoming_tickers AS pairs
INNER JOIN changes ON pairs.headline_id = changes.incoming_id
ANTI JOIN headline_tickers AS known
    ON changes.headline_id = known.headline_id AND pairs.ticker = known.ticker
GROUP BY changes.headline_id, pairs.ticker
ORDER BY changes.headline_id, pairs.ticker;
