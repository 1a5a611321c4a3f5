-- grain: one row per source and time of day (UTC) at which it puts headlines that are dated by the day
-- Only asserted headlines count: of an observed one we know the second we saw it. A time of day stands for
-- days when most of the source's headlines, on several days, have it (or it and one an hour apart, as
-- summer time makes of one); or when it is midnight in UTC, New York or on the Pacific coast, and far
-- more of them have it than any other full hour.
CREATE OR REPLACE TEMP VIEW day_times AS
WITH usual AS (
    SELECT
        source,
        (published_at AT TIME ZONE 'UTC')::TIME AS time_of_day,
        count(*) AS items,
        count(DISTINCT published_at::DATE) AS days
    FROM headlines
    WHERE availability = 'asserted'
    GROUP BY ALL
),

sizes AS (
    SELECT
        source,
        sum(items) AS items,
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
    );
