-- grain: one row per story named in the links, with the instant of its earliest headline
SELECT
    headline_id AS story,
    published_at
FROM headlines
WHERE headline_id IN (SELECT story FROM links UNION SELECT other FROM links)
ORDER BY published_at, headline_id;
