-- grain: one row per incoming headline, under the headline_id it has in the warehouse
-- An incoming headline is a stored one if it has its id; failing that, its guid or else its address,
-- within the same source and a week, and known there for one headline only. Words that a stored
-- headline has now or had in an earlier revision are no change: caches repeat stale items.
-- $first and $last span the incoming publication times, so that only their neighbours are read.
WITH nearby AS MATERIALIZED (
    SELECT
        headline_id, story_id, source, title, summary, published_at, first_seen_at, edited_at,
        available_at, availability, revision, coalesce(guid, url) AS address
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

edits AS (
    SELECT
        unknown.headline_id AS incoming_id,
        any_value(stored.headline_id) AS headline_id
    FROM unknown
    INNER JOIN nearby AS stored
        ON
            unknown.source = stored.source
            AND coalesce(unknown.guid, unknown.url) = stored.address
            AND abs(epoch(unknown.published_at) - epoch(stored.published_at)) <= 7 * 86400
    GROUP BY unknown.headline_id
    HAVING count(*) = 1
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
        stored.revision AS stored_revision,
        stored.story_id AS stored_story_id,
        stored.published_at AS stored_published_at,
        stored.first_seen_at AS stored_first_seen_at,
        stored.available_at AS stored_available_at,
        stored.availability AS stored_availability,
        stored.title <> pairs.title
        OR coalesce(stored.summary <> pairs.summary, FALSE) AS other_words,
        stored.availability = 'asserted' AND pairs.availability = 'asserted'
        AND stored.edited_at IS NULL AND stored.available_at <> pairs.available_at
        AND stored.published_at = pairs.published_at AS other_lag
    FROM pairs
    LEFT JOIN nearby AS stored USING (headline_id)
)

SELECT
    compared.incoming_id,
    compared.headline_id,
    coalesce(stored_story_id, compared.headline_id) AS story_id,
    compared.source,
    compared.title,
    compared.summary,
    compared.url,
    compared.guid,
    coalesce(stored_published_at, compared.published_at) AS published_at,
    coalesce(stored_first_seen_at, compared.first_seen_at) AS first_seen_at,
    CASE WHEN other_words THEN compared.first_seen_at END AS edited_at,
    CASE
        WHEN other_words
            THEN greatest(compared.available_at, compared.first_seen_at, stored_available_at)
        ELSE compared.available_at
    END AS available_at,
    coalesce(stored_availability, compared.availability) AS availability,
    compared.synthetic,
    compared.payload_id,
    (coalesce(stored_revision, 0) + 1)::INTEGER AS revision,
    CASE
        WHEN stored_revision IS NULL THEN 'new'
        WHEN other_lag AND NOT other_words THEN 'revised'
        WHEN NOT other_words OR former.headline_id IS NOT NULL THEN 'same'
        ELSE 'revised'
    END AS change
FROM compared
LEFT JOIN (
    SELECT DISTINCT headline_id, title, coalesce(summary, '') AS summary
    FROM headline_revisions
) AS former
    ON
        compared.headline_id = former.headline_id
        AND compared.title = former.title
        AND coalesce(compared.summary, '') = former.summary
ORDER BY published_at, compared.headline_id;
