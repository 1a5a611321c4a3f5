-- grain: one row per headline, wording and ticker that counts, at its session
-- A headline belongs to the first session decided strictly after it was available, which is looked up
-- by the UTC day: at most one decision falls on a day. The texts are fetched later, by stretches.
CREATE OR REPLACE TEMP TABLE placed AS
WITH told AS (
    SELECT headline_id, available_at, 1 AS wording FROM headlines WHERE available_at >= $from_ts
    UNION ALL
    -- What a headline said before it was edited was known first.
    SELECT headline_id, available_at, -revision
    FROM headline_revisions
    WHERE available_at >= $from_ts
), subjects AS NOT MATERIALIZED (
    SELECT headline_id, ticker FROM touched_subjects
    UNION ALL
    SELECT headline_id, ticker FROM headline_tickers WHERE $whole
), found AS (
    SELECT
        t.headline_id,
        t.wording,
        l.number,
        CASE WHEN t.available_at < d.decision_ts THEN d.position ELSE d.position + 1 END  AS position,
        CASE WHEN t.available_at < d.decision_ts THEN d.session ELSE d.next_session END   AS shown_in
    FROM told AS t
    JOIN subjects AS a ON a.headline_id = t.headline_id
    JOIN listings AS l ON l.ticker = a.ticker AND l.is_subject
    JOIN clock_days AS d ON d.exchange = l.exchange AND d.day = utc_day(t.available_at)
)
SELECT f.number * 1000000 + f.position AS cell, f.shown_in, f.headline_id, f.wording
FROM found AS f
ANTI JOIN retellings AS r
    ON r.number = f.number AND r.headline_id = f.headline_id AND r.wording = f.wording
WHERE f.shown_in >= $from_session;
