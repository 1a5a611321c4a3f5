-- grain: one row per headline, as its first sighting told it
SELECT
    headline_id,
    source,
    title,
    summary,
    url,
    guid,
    published_at,
    first_seen_at,
    available_at,
    availability,
    synthetic,
    payload_id
FROM identified
QUALIFY row_number() OVER (PARTITION BY headline_id ORDER BY first_seen_at, position) = 1
ORDER BY published_at, headline_id;
