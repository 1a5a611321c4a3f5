-- grain: one row per usable archive row and ticker it names
WITH split AS (
    SELECT
        *,
        CASE
            WHEN ticker IS NULL THEN [NULL]
            WHEN $separator IS NULL THEN [ticker]
            ELSE string_split(ticker, $separator)
        END AS tickers
    FROM judged
    WHERE reason IS NULL
),

named AS (
    SELECT
        * EXCLUDE (tickers, ticker),
        nullif(trim(unnest(tickers)), '') AS ticker
    FROM split
)

SELECT
    $source AS source,
    title,
    nullif(summary, '') AS summary,
    CASE WHEN regexp_full_match(url, 'https?://[^\s<>"]+', 'i') THEN url END AS url,
    nullif(guid, '') AS guid,
    published_at,
    $now::TIMESTAMPTZ AS first_seen_at,
    'asserted' AS availability,
    $lag_us::BIGINT AS lag_us,
    $synthetic::BOOLEAN AS synthetic,
    $payload_id AS payload_id,
    position,
    ticker,
    CASE WHEN ticker IS NOT NULL THEN 'declared' END AS method
FROM named;
