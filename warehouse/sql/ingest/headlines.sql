-- Headlines: archive rows validated, observations identified, changes published.


-- name: headline_dates
-- grain: one row per archive row, in order
-- instant: the date string names a zone. wall: it does not, and the declared zone must supply it.
-- day: midnight on its own clock, or no time of day at all (granularity day, then no zone is needed).
-- $format: a strptime format, or NULL for the commonest spellings; the rest is read elsewhere.
-- $format_has_zone, _time, _seconds: which parts it contains. $zoneless: no zone is declared.
WITH read AS (
    SELECT
        position, published,
        CASE
            WHEN $format IS NOT NULL THEN try_strptime(published, $format)::TIMESTAMPTZ
        END AS as_declared,
        CASE
            -- Years that may lie before the first are read elsewhere.
            WHEN $format IS NOT NULL OR starts_with(published, '0') THEN NULL
            WHEN regexp_full_match(
                published,
                '\d{4}-\d\d-\d\d[T ]\d\d:\d\d(:\d\d(\.\d+)?)?\s*(Z|[+-](0\d|1[0-3])(:?[0-5]\d)?|[+-]14(:?00)?)'
            ) THEN 'iso'
            WHEN regexp_full_match(
                published,
                '[A-Z][a-z]{2}, \d{1,2} [A-Z][a-z]{2} \d{4} \d\d:\d\d:\d\d ([+-](0\d|1[0-3])[0-5]\d|[+-]1400)'
            ) THEN 'rfc'
            WHEN regexp_full_match(published, '\d{4}-\d\d-\d\d[T ]\d\d:\d\d(:\d\d(\.\d+)?)?') THEN 'wall'
            WHEN regexp_full_match(published, '\d{4}-\d\d-\d\d') THEN 'day'
            WHEN regexp_full_match(published, '\d{10}|\d{13}|\d{16}') THEN 'epoch'
        END AS spelling
    FROM dated
),

timed AS (
    SELECT
        *,
        CASE
            WHEN $format IS NOT NULL THEN CASE WHEN $format_has_zone THEN as_declared END
            WHEN spelling = 'iso' THEN try_cast(published AS TIMESTAMPTZ)
            WHEN spelling = 'rfc' THEN try_strptime(published, '%a, %d %b %Y %H:%M:%S %z')
            WHEN spelling = 'epoch' THEN to_timestamp(left(published, 10)::BIGINT)
        END AS instant,
        -- What stands there, whatever its zone.
        CASE
            WHEN $format IS NOT NULL THEN
                CASE WHEN NOT $format_has_zone THEN as_declared AT TIME ZONE 'UTC' END
            WHEN spelling IN ('iso', 'wall') THEN try_cast(left(replace(published, 'T', ' '), 16) AS TIMESTAMP)
            WHEN spelling = 'rfc' THEN try_strptime(left(published, -6), '%a, %d %b %Y %H:%M:%S')
            WHEN spelling = 'day' THEN try_cast(published AS TIMESTAMP)
        END AS written,
        CASE
            WHEN $format IS NOT NULL THEN
                CASE WHEN NOT $format_has_time THEN 'day' WHEN $format_has_seconds THEN 'second' ELSE 'minute' END
            WHEN spelling = 'day' THEN 'day'
            WHEN spelling IN ('rfc', 'epoch') OR regexp_matches(published, ':\d\d:\d\d') THEN 'second'
            ELSE 'minute'
        END AS written_to
    FROM read
),

judged AS (
    SELECT
        *,
        (spelling <> 'iso' OR instant IS NOT NULL) IS NOT FALSE
        AND (written_to = 'day' OR (
            written = date_trunc('day', written)
            AND NOT regexp_matches(published, '[T ]00:00:(0?[1-9]|[1-5]\d|00\.\d*[1-9])')
        )) AS at_midnight,
        spelling = 'rfc' AND left(published, 3) <> left(dayname(written), 3) AS other_weekday
    FROM timed
)

SELECT
    CASE WHEN NOT coalesce(other_weekday, FALSE) THEN instant END AS instant,
    CASE
        WHEN instant IS NULL AND NOT at_midnight THEN
            CASE
                WHEN $format IS NOT NULL THEN written
                WHEN spelling = 'wall' THEN try_cast(published AS TIMESTAMP)
            END
    END AS wall,
    CASE WHEN at_midnight AND NOT coalesce(other_weekday, FALSE) THEN written::DATE END AS day,
    CASE WHEN at_midnight AND instant IS NULL AND $zoneless THEN 'day' ELSE written_to END AS granularity
FROM judged
ORDER BY position;


-- name: timestamps_dated
-- grain: one row per timestamp of an archive's own, in order
SELECT
    CASE WHEN wall = date_trunc('day', wall) THEN wall::DATE END AS day,
    CASE
        WHEN wall = date_trunc('day', wall) AND $zoneless THEN 'day'
        ELSE 'second'
    END AS granularity
FROM stamped;


-- name: headline_validation
-- grain: one row per archive row, with the reason it cannot be used, if there is one
SELECT
    *,
    CASE
        WHEN coalesce(title, '') = '' THEN 'no title'
        WHEN length(title) > $longest_title THEN 'title longer than ' || $longest_title || ' characters'
        WHEN published_at IS NULL AND coalesce(published, '') = '' THEN 'undated'
        WHEN published_at IS NULL THEN coalesce(refusal, 'date not understood')
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
    published_at, granularity, day, $now::TIMESTAMPTZ AS first_seen_at,
    'asserted' AS availability, $synthetic::BOOLEAN AS synthetic, $payload_id AS payload_id, $lag_us::BIGINT AS lag_us,
    position, ticker,
    CASE WHEN ticker IS NOT NULL THEN 'declared' END AS method
FROM named;


-- name: observations_dated
-- grain: one row per observation, with the granularity of its stamp and, of a day, when it is over
-- A stamp is a day when no time of day is written, when it is midnight on its own clock, that of $zone,
-- UTC, New York or the Pacific coast, or at one of $day_times, at which its source is known to put days;
-- and where most stamps of a batch, on several days, have one time of day (or two an hour apart, as
-- summer time makes of one). $granularity: what is declared of the source instead, or 'detect'.
-- A day is over when it is over everywhere on earth, at noon UTC of the next. Which day is meant, its
-- own text says, else the clock of $zone where days are declared, else the furthest east, which has it
-- last. What is found rather than declared depends on no zone: `headlines_redate` knows none either.
WITH timed AS (
    SELECT
        *,
        (published_at AT TIME ZONE 'UTC')::TIME AS time_of_day,
        epoch_us(published_at) % 900000000 = 0 AS is_round
    FROM observations
),

usual AS (
    SELECT
        time_of_day,
        count(*) AS items,
        count(DISTINCT published_at::DATE) AS days
    FROM timed
    WHERE $granularity = 'detect' AND granularity <> 'day'
    GROUP BY time_of_day
),

constant AS (
    SELECT one.time_of_day
    FROM usual AS one
    LEFT JOIN usual AS later ON later.time_of_day = one.time_of_day + INTERVAL 1 HOUR
    LEFT JOIN usual AS earlier ON earlier.time_of_day = one.time_of_day + INTERVAL 23 HOURS
    WHERE
        one.days >= 2
        AND one.days + greatest(later.days, earlier.days, 0) >= 4
        AND one.items + greatest(later.items, earlier.items, 0) >= 0.6 * (SELECT sum(items) FROM usual)
),

judged AS (
    SELECT
        timed.* EXCLUDE (granularity, time_of_day, is_round),
        CASE
            WHEN granularity = 'day' THEN 'day'
            WHEN $granularity <> 'detect' THEN $granularity
            WHEN day IS NOT NULL THEN 'day'
            WHEN list_contains($day_times::TIME[], time_of_day) THEN 'day'
            WHEN time_of_day IN (SELECT time_of_day FROM constant) THEN 'day'
            -- A case of its own: zones cost more than all the rest and few stamps are round.
            WHEN CASE
                WHEN is_round THEN
                    epoch_us(published_at) % 86400000000 = 0
                    OR (published_at AT TIME ZONE 'America/New_York')::TIME = TIME '00:00:00'
                    OR (published_at AT TIME ZONE 'America/Los_Angeles')::TIME = TIME '00:00:00'
                    OR (published_at AT TIME ZONE coalesce($zone::VARCHAR, 'UTC'))::TIME
                    = TIME '00:00:00'
            END THEN 'day'
            ELSE granularity
        END AS granularity
    FROM timed
)

SELECT
    * EXCLUDE (day),
    CASE
        WHEN granularity = 'day' THEN
            day_is_over(
                coalesce(
                    day,
                    CASE
                        WHEN $granularity = 'day' AND $zone IS NOT NULL
                            THEN (published_at AT TIME ZONE $zone::VARCHAR)::DATE
                    END,
                    easternmost_day(published_at)
                )
            )
    END AS day_over_at
FROM judged;


-- name: observations_identified
-- grain: one row per observation of a headline (an item in one payload, under one ticker or none)
-- A headline is its source, its instant and its (cleaned) title in whatever case: guids and links
-- change between fetches, these three do not. An edit is recognised when it is published.
-- A filing is its accession number, whoever filed it together and however its acceptance is read.
SELECT
    substr(
        sha256(
            CASE
                WHEN is_filing(guid) THEN concat_ws(chr(31), source, guid)
                ELSE concat_ws(chr(31), source, epoch_us(published_at)::VARCHAR, lower(title))
            END
        ), 1, 32
    ) AS headline_id,
    dated.*,
    CASE availability
        WHEN 'observed' THEN greatest(published_at, first_seen_at)
        ELSE coalesce(day_over_at, published_at) + to_microseconds(lag_us)
    END AS available_at
FROM dated;


-- name: headlines_identified
-- grain: one row per headline, as its first observation has it
-- Only repeated ids are ranked: few are, and a window over all takes three times as long as this.
WITH repeated AS (
    SELECT headline_id FROM identified
    GROUP BY headline_id
    HAVING count(*) > 1
),

first_observed AS (
    FROM identified ANTI JOIN repeated USING (headline_id)
    UNION ALL
    FROM identified SEMI JOIN repeated USING (headline_id)
    QUALIFY row_number() OVER (PARTITION BY headline_id ORDER BY first_seen_at, position) = 1
)

SELECT
    headline_id, source, title, summary, url, guid, published_at, granularity, first_seen_at,
    available_at, availability, synthetic, payload_id
FROM first_observed
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
-- feeds: headlines
-- grain: one row per incoming headline, under the headline_id it has in the warehouse
-- An incoming headline is a stored one if it has its id; failing that, its guid or else its address,
-- within the same source and a week, and known there for one headline only: where several share a guid
-- (EDGAR files one document under each filer), the one with the same address too. Its words must be
-- largely the same, or its guid and its instant: quote pages give all their headlines one address. A guid,
-- or in a poll an address, that comes back with the same title is the same headline whatever its date. Words
-- that a stored
-- headline has now or had in an earlier revision are no change: caches repeat stale items.
-- Without $edits only ids count, and a stored headline keeps its words.
-- $first and $last span the incoming publication times, so that only their neighbours are read.
WITH nearby AS MATERIALIZED (
    SELECT
        headline_id, story_id, source, title, summary, published_at, granularity, first_seen_at,
        edited_at, available_at, availability, revision, guid, url, coalesce(guid, url) AS address
    FROM headlines
    WHERE
        published_at BETWEEN $first::TIMESTAMPTZ - INTERVAL 7 DAYS
        AND $last::TIMESTAMPTZ + INTERVAL 7 DAYS
),

unknown AS (
    SELECT incoming.*
    FROM incoming_headlines AS incoming
    ANTI JOIN nearby USING (headline_id)
    WHERE $edits
),

neighbours AS (
    SELECT
        unknown.headline_id AS incoming_id, stored.headline_id,
        list_distinct(regexp_extract_all(lower(unknown.title), '[\pL\pN]+')) AS words,
        list_distinct(regexp_extract_all(lower(stored.title), '[\pL\pN]+')) AS stored_words,
        unknown.title = stored.title AS same_title,
        coalesce(unknown.guid = stored.guid, FALSE) AS same_guid,
        unknown.published_at = stored.published_at AS same_instant,
        unknown.guid IS NOT DISTINCT FROM stored.guid
        AND unknown.url IS NOT DISTINCT FROM stored.url AS exact
    FROM unknown
    INNER JOIN nearby AS stored
        ON
            unknown.source = stored.source
            AND coalesce(unknown.guid, unknown.url) = stored.address
            AND (
                abs(epoch(unknown.published_at) - epoch(stored.published_at)) <= 7 * 86400
                OR (
                    unknown.title = stored.title
                    AND (unknown.guid = stored.guid OR unknown.availability = 'observed')
                )
            )
),

likely AS (
    SELECT * FROM neighbours
    WHERE
        same_title
        OR (same_guid AND same_instant)
        OR len(list_intersect(words, stored_words))
        >= CASE WHEN same_guid THEN 0.5 ELSE 2 / 3 END * least(len(words), len(stored_words))
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
        stored.published_at AS stored_published_at, stored.granularity AS stored_granularity,
        stored.first_seen_at AS stored_first_seen_at,
        stored.available_at AS stored_available_at, stored.availability AS stored_availability,
        $edits AND (
            stored.title <> pairs.title OR coalesce(stored.summary <> pairs.summary, FALSE)
        ) AS other_words,
        stored.availability = 'asserted' AND pairs.availability = 'asserted'
        AND stored.edited_at IS NULL AND stored.available_at <> pairs.available_at
        AND stored.published_at = pairs.published_at AS other_lag,
        -- A filing's acceptance, read better than before: its header came.
        stored.availability = 'asserted' AND pairs.availability = 'asserted' AND is_filing(pairs.guid)
        AND stored.published_at <> pairs.published_at AS other_reading
    FROM pairs
    LEFT JOIN nearby AS stored USING (headline_id)
)

SELECT
    compared.incoming_id, compared.headline_id,
    coalesce(stored_story_id, compared.headline_id) AS story_id,
    compared.source, compared.title, compared.summary, compared.url, compared.guid,
    CASE WHEN other_reading THEN compared.published_at
         ELSE coalesce(stored_published_at, compared.published_at) END AS published_at,
    CASE WHEN other_words THEN coalesce(stored_granularity, compared.granularity)
         ELSE compared.granularity END AS granularity,
    coalesce(stored_first_seen_at, compared.first_seen_at) AS first_seen_at,
    CASE WHEN other_words AND NOT other_reading THEN compared.first_seen_at END AS edited_at,
    CASE
        WHEN other_words AND NOT other_reading
            THEN greatest(compared.available_at, compared.first_seen_at, stored_available_at)
        ELSE compared.available_at
    END AS available_at,
    coalesce(stored_availability, compared.availability) AS availability,
    compared.synthetic, compared.payload_id,
    (coalesce(stored_revision, 0) + 1)::INTEGER AS revision,
    CASE
        WHEN stored_revision IS NULL THEN 'new'
        WHEN other_reading OR (other_lag AND NOT other_words) THEN 'revised'
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


-- name: source_day_times
-- grain: one row per time of day (UTC) at which a source puts headlines that are dated by the day
SELECT time_of_day
FROM day_times
WHERE source = $source
ORDER BY time_of_day;


-- name: headlines_redate
-- writes: headlines.granularity, available_at; idempotent
-- grain: one updated row per asserted headline of $sources that was taken for an instant and is a day
-- What was learned of a source since holds for all of it, so no order of arrival and no cut decides.
UPDATE headlines
SET
    granularity = 'day',
    available_at = greatest(
        headlines.available_at,
        day_is_over(easternmost_day(headlines.published_at))
        + (headlines.available_at - headlines.published_at)
    )
FROM day_times
WHERE
    headlines.source = day_times.source
    AND list_contains($sources::VARCHAR[], headlines.source)
    AND (headlines.published_at AT TIME ZONE 'UTC')::TIME = day_times.time_of_day
    AND headlines.availability = 'asserted'
    AND headlines.granularity <> 'day';


-- name: headline_supersede
-- writes: headline_revisions (headline_id, revision)
-- grain: one inserted row per stored headline about to be replaced by a newer revision
-- Where the words stay and only their date is read otherwise, the earlier reading was no earlier version:
-- it must not stay available from when it was thought to be.
INSERT INTO headline_revisions BY NAME
SELECT
    headlines.headline_id, headlines.revision, headlines.title, headlines.summary,
    headlines.published_at,
    CASE
        WHEN
            headlines.published_at <> superseding.published_at
            OR (
                headlines.title = superseding.title
                AND headlines.summary IS NOT DISTINCT FROM coalesce(superseding.summary, headlines.summary)
            )
            THEN greatest(headlines.available_at, superseding.available_at)
        ELSE headlines.available_at
    END AS available_at,
    headlines.payload_id,
    $now::TIMESTAMPTZ AS superseded_at
FROM headlines
INNER JOIN superseding USING (headline_id);


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
