-- grain: one row with the number of stored headlines in a span of time
SELECT count(*) AS headlines
FROM headlines
WHERE published_at BETWEEN $first::TIMESTAMPTZ AND $last::TIMESTAMPTZ;
