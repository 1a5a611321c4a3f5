-- grain: one row per headline that was available before $asof, as it read then
-- story_id: the earliest available headline of its story, so that it never names one still unseen.
-- url: NULL of a superseded revision, whose address is not kept and whose successor's may tell of the edit.
WITH told AS (
    SELECT headline_id, revision, title, summary, published_at, available_at, payload_id
    FROM headlines
    UNION ALL BY NAME
    SELECT headline_id, revision, title, summary, published_at, available_at, payload_id
    FROM headline_revisions
), known AS (
    SELECT *
    FROM told
    WHERE available_at < $asof
    QUALIFY row_number() OVER (PARTITION BY headline_id ORDER BY revision DESC) = 1
), about AS (
    SELECT headline_id, list(DISTINCT ticker ORDER BY ticker) AS tickers
    FROM headline_tickers
    GROUP BY headline_id
), grouped AS (
    SELECT
        k.headline_id,
        first_value(k.headline_id) OVER (
            PARTITION BY h.story_id ORDER BY k.available_at, k.headline_id
        )                          AS story_id,
        coalesce(a.tickers, [])    AS tickers,
        h.source,
        k.title,
        k.summary,
        if(k.revision = h.revision, h.url, NULL) AS url,
        k.published_at,
        k.available_at,
        h.availability,
        h.synthetic,
        k.revision,
        k.payload_id
    FROM known AS k
    JOIN headlines AS h USING (headline_id)
    LEFT JOIN about AS a USING (headline_id)
)
SELECT *
FROM grouped
WHERE ($tickers IS NULL OR list_has_any(tickers, $tickers))
    AND ($since IS NULL OR available_at >= $since)
ORDER BY available_at, headline_id;
