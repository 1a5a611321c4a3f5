-- grain: one row per stored headline, with what its stamp is good for, and one on what that changed
-- Stamps that are days are told by their source: most of its headlines, on several days, at one time of
-- day (or two an hour apart), or far more of them at midnight in UTC, New York or on the Pacific coast
-- than at any other full hour. Such a headline is available once its day is over everywhere on earth.
ALTER TABLE headlines ADD COLUMN IF NOT EXISTS granularity VARCHAR;

UPDATE headlines
SET granularity = CASE WHEN whole.minutes THEN 'minute' ELSE 'second' END
FROM (
    SELECT source, bool_and(epoch_us(published_at) % 60000000 = 0) AS minutes
    FROM headlines
    GROUP BY source
) AS whole
WHERE headlines.source = whole.source;

UPDATE headlines
SET
    granularity = 'day',
    available_at = greatest(
        headlines.available_at,
        (((published_at + INTERVAL 14 HOURS) AT TIME ZONE 'UTC')::DATE + INTERVAL 36 HOURS)
        AT TIME ZONE 'UTC' + (headlines.available_at - headlines.published_at)
    )
FROM (
    WITH usual AS (
        SELECT
            source, (published_at AT TIME ZONE 'UTC')::TIME AS time_of_day,
            count(*) AS items, count(DISTINCT published_at::DATE) AS days
        FROM headlines
        WHERE availability = 'asserted'
        GROUP BY ALL
    ),

    sizes AS (
        SELECT
            source, sum(items) AS items,
            sum(items) FILTER (epoch(time_of_day) % 3600 = 0) / 24 AS items_an_hour
        FROM usual
        GROUP BY source
    ),

    paired AS (
        SELECT
            one.source, one.time_of_day, one.items,
            one.items + greatest(later.items, earlier.items, 0) AS both_items,
            one.days + greatest(later.days, earlier.days, 0) AS both_days
        FROM usual AS one
        LEFT JOIN usual AS later
            ON later.source = one.source AND later.time_of_day = one.time_of_day + INTERVAL 1 HOUR
        LEFT JOIN usual AS earlier
            ON earlier.source = one.source AND earlier.time_of_day = one.time_of_day + INTERVAL 23 HOURS
    )

    SELECT paired.source, paired.time_of_day
    FROM paired
    INNER JOIN sizes USING (source)
    WHERE
        (paired.both_days >= 4 AND paired.both_items >= 0.6 * sizes.items)
        OR (
            hour(paired.time_of_day) IN (0, 4, 5, 7, 8)
            AND epoch(paired.time_of_day) % 3600 = 0
            AND (
                (paired.items >= 2 AND paired.items >= 0.2 * sizes.items)
                OR (paired.items >= 10 AND paired.items >= 5 * sizes.items_an_hour)
            )
        )
) AS day_times
WHERE
    headlines.availability = 'asserted'
    AND headlines.source = day_times.source
    AND (headlines.published_at AT TIME ZONE 'UTC')::TIME = day_times.time_of_day;

UPDATE headline_revisions
SET available_at = greatest(
    headline_revisions.available_at,
    (((headline_revisions.published_at + INTERVAL 14 HOURS) AT TIME ZONE 'UTC')::DATE + INTERVAL 36 HOURS)
    AT TIME ZONE 'UTC'
)
FROM headlines
WHERE headline_revisions.headline_id = headlines.headline_id AND headlines.granularity = 'day';

SELECT
    count(DISTINCT headline_id) || ' headlines of ' || count(DISTINCT source) || ' sources are dated by '
    || 'the day and count as available from its end on. ' || count(DISTINCT example_id)
    || ' stored examples showed one before that and change with the next build.' AS words
FROM headlines
LEFT JOIN (
    SELECT example_id, decision_ts, unnest(headline_ids) AS headline_id FROM examples
) AS shown USING (headline_id)
WHERE headlines.granularity = 'day' AND (shown.decision_ts IS NULL OR shown.decision_ts <= headlines.available_at)
HAVING count(*) > 0;
