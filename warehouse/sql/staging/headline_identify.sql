-- grain: one row per sighting of a headline (an item in one payload, under one ticker or none)
-- A headline is its source, its instant and its (cleaned) title in whatever case: guids and links
-- change between fetches, these three do not. An edit is recognised when it is published.
SELECT
    substr(
        sha256(
            concat_ws(chr(31), source, epoch_us(published_at)::VARCHAR, lower(title))
        ), 1, 32
    ) AS headline_id,
    sightings.*,
    CASE availability
        WHEN 'observed' THEN greatest(published_at, first_seen_at)
        ELSE published_at + to_microseconds(lag_us)
    END AS available_at
FROM sightings;
