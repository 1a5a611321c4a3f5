-- Features: rows of the user's own columns, validated and published.


-- name: features_validated
-- grain: one row per archive row and column, with the reason why its row cannot be used, if there is one
-- $tickers: those that the warehouse or the universe knows; NULL where the rows are of the whole market.
-- granularity and available_at: unless $granularity declares otherwise, midnight on its own clock, in UTC or in
-- $zone is a day, and so is midnight in New York or on the Pacific coast where most rows have it. A day is over
-- at noon UTC of the next, when it is over everywhere on earth; which day, its own text says, else the clock
-- of $zone where days are declared, else the furthest east.
WITH midnights AS (
    SELECT 'America/New_York' AS zone
    UNION ALL
    SELECT 'America/Los_Angeles'
),

usual AS (
    SELECT m.zone
    FROM midnights AS m
    CROSS JOIN (SELECT known_at FROM cells WHERE place = 0) AS c
    GROUP BY m.zone
    HAVING avg(((c.known_at AT TIME ZONE m.zone)::TIME = TIME '00:00:00')::INTEGER) >= 0.6
),

judged AS (
    SELECT
        cells.* EXCLUDE (granularity, day, ticker),
        coalesce(trim(ticker), '') AS ticker,
        CASE
            WHEN $tickers IS NULL THEN NULL
            WHEN coalesce(trim(ticker), '') = '' THEN 'no ticker'
            WHEN NOT is_symbol(trim(ticker)) THEN 'ticker is not a symbol'
            WHEN trim(ticker) NOT IN (SELECT unnest($tickers::VARCHAR[])) THEN 'unknown ticker'
        END AS of_ticker,
        CASE
            WHEN known_at IS NULL AND coalesce(trim(written), '') = '' THEN 'undated'
            WHEN known_at IS NULL THEN coalesce(refusal, 'date not understood')
            WHEN known_at > $now THEN 'known in the future'
            WHEN known_at < $earliest THEN 'known before ' || year($earliest::TIMESTAMPTZ)
        END AS of_time,
        CASE WHEN bad THEN name || ' is not a finite number' END AS of_value,
        CASE
            WHEN granularity = 'day' THEN 'day'
            WHEN $granularity <> 'detect' THEN $granularity
            WHEN
                day IS NOT NULL
                OR (known_at AT TIME ZONE 'UTC')::TIME = TIME '00:00:00'
                OR (known_at AT TIME ZONE coalesce($zone::VARCHAR, 'UTC'))::TIME = TIME '00:00:00'
                OR (
                    epoch_us(known_at) % 3600000000 = 0
                    AND EXISTS (
                        SELECT 1 FROM usual AS u
                        WHERE (cells.known_at AT TIME ZONE u.zone)::TIME = TIME '00:00:00'
                    )
                ) THEN 'day'
            ELSE granularity
        END AS granularity,
        coalesce(
            day,
            CASE
                WHEN $granularity = 'day' AND $zone IS NOT NULL
                    THEN (known_at AT TIME ZONE $zone::VARCHAR)::DATE
            END,
            easternmost_day(known_at)
        ) AS day
    FROM cells
),

refused AS (
    SELECT
        * EXCLUDE (of_ticker, of_time, of_value, day),
        CASE WHEN granularity = 'day' THEN day_is_over(day) ELSE known_at END
        + to_microseconds($lag_us::BIGINT) AS available_at,
        min(coalesce(of_ticker, of_time, of_value)) OVER (PARTITION BY position) AS unusable
    FROM judged
),

told AS (
    SELECT
        *,
        unusable IS NULL AND min({number: number, text: text}) OVER same
        IS DISTINCT FROM max({number: number, text: text}) OVER same AS differs
    FROM refused
    WINDOW same AS (PARTITION BY name, ticker, known_at, unusable IS NULL)
)

SELECT
    * EXCLUDE (unusable, differs),
    coalesce(
        unusable,
        CASE WHEN bool_or(differs) OVER (PARTITION BY position) THEN 'several values for one ticker and known_at' END
    ) AS reason
FROM told
ORDER BY position, place;


-- name: features_usable
-- grain: one row per ticker, known_at and column that can be used, as its first archive row has it
SELECT
    $feature_set AS feature_set,
    CASE WHEN $tickers IS NULL THEN '*' ELSE ticker END AS ticker,
    known_at, granularity, name, number, text, available_at,
    $now::TIMESTAMPTZ AS first_seen_at, $payload_id AS payload_id
FROM validated
WHERE reason IS NULL
QUALIFY row_number() OVER (PARTITION BY ticker, known_at, name ORDER BY position) = 1
ORDER BY ticker, known_at, name;


-- name: features_rejects
-- grain: one row per archive row that cannot be used
SELECT
    'feature' AS kind, $source AS source,
    CASE WHEN $tickers IS NULL THEN '*' WHEN ticker = '' THEN '?' ELSE ticker END AS key,
    any_value(reason) AS reason,
    to_json({
        'row': position, 'known_at': any_value(written),
        'cells': json_group_object(name, left(cell, 1000))
    })::VARCHAR AS record,
    $payload_id AS payload_id
FROM validated
WHERE reason IS NOT NULL
GROUP BY position, ticker
ORDER BY position;


-- name: tickers_known
-- grain: one row per ticker that the warehouse holds anything of
SELECT ticker FROM bars
UNION
SELECT ticker FROM headline_tickers
UNION
SELECT ticker FROM tickers
ORDER BY ticker;


-- name: features_of_market
-- grain: one row per kind of ticker that a feature set has: of the whole market, or not
SELECT DISTINCT ticker = '*' AS of_market
FROM features
WHERE feature_set = $feature_set;


-- name: feature_changes
-- feeds: features
-- grain: one row per incoming value that is new, or other than the one held, with the revision it becomes
-- Sameness of numbers is relative, that of texts literal.
WITH held AS (
    SELECT ticker, known_at, name, number, text, revision
    FROM features
    WHERE feature_set = $feature_set
    QUALIFY revision = max(revision) OVER (PARTITION BY ticker, known_at, name)
)
SELECT
    i.* REPLACE (
        CASE WHEN h.revision IS NULL THEN i.available_at ELSE greatest(i.available_at, i.first_seen_at) END
            AS available_at
    ),
    (coalesce(h.revision, 0) + 1)::INTEGER AS revision
FROM incoming_features AS i
LEFT JOIN held AS h USING (ticker, known_at, name)
WHERE h.revision IS NULL
    OR (i.number IS NULL) <> (h.number IS NULL)
    OR NOT coalesce(is_same(i.number, h.number), TRUE)
    OR i.text IS DISTINCT FROM h.text
ORDER BY i.ticker, i.known_at, i.name;


-- name: features_redate
-- writes: features (feature_set, ticker, known_at, name, revision), idempotent
-- grain: one row per stored value whose stamp is read otherwise now: by another lag or granularity
UPDATE features AS f
SET
    granularity = i.granularity,
    available_at = CASE WHEN f.revision = 1 THEN i.available_at ELSE greatest(i.available_at, f.first_seen_at) END
FROM incoming_features AS i
WHERE f.feature_set = i.feature_set AND f.ticker = i.ticker AND f.known_at = i.known_at AND f.name = i.name
    AND (
        f.granularity <> i.granularity
        OR f.available_at
        <> CASE WHEN f.revision = 1 THEN i.available_at ELSE greatest(i.available_at, f.first_seen_at) END
    );
