-- grain: one row per rule about the splits that is broken, or fact about them (is_rule false)
WITH rows AS (
    SELECT r.fate, e.*
    FROM split_rows AS r
    JOIN examples AS e ON e.spec_id = $spec_id AND e.ticker = r.ticker AND e.session = r.session
    WHERE r.fate IN ('train', 'validation', 'test')
), ordered AS (
    SELECT *, list_position(['train', 'validation', 'test'], fate) AS part FROM rows
), overlap AS (
    SELECT a.example_id
    FROM ordered AS a
    JOIN (
        SELECT p.part, min(o.decision_ts) AS next_decision_ts
        FROM (SELECT DISTINCT part FROM ordered) AS p
        JOIN ordered AS o ON o.part > p.part
        GROUP BY p.part
    ) AS n ON n.part = a.part AND a.label_end_ts > n.next_decision_ts
), sessions_shared AS (
    SELECT session FROM ordered GROUP BY session HAVING count(DISTINCT part) > 1
), stories AS (
    SELECT story_id, count(DISTINCT part) AS parts
    FROM (SELECT part, unnest(story_ids) AS story_id FROM ordered)
    GROUP BY story_id
), words AS (
    SELECT regexp_replace(lower(input), '[^a-z]+', ' ', 'g') AS text, count(DISTINCT part) AS parts
    FROM ordered
    GROUP BY text
), unseen AS (
    SELECT ticker FROM ordered GROUP BY ticker HAVING min(part) > 1
)
SELECT true AS is_rule, 'label windows end before the next split begins' AS rule, count(*) AS rows
FROM overlap
UNION ALL
SELECT true, 'all rows of a session are in one split', count(*) FROM sessions_shared
UNION ALL
SELECT true, 'no story is shown in two splits', count(*) FROM stories WHERE parts > 1
UNION ALL
SELECT false, 'inputs whose words occur in two splits', count(*) FROM words WHERE parts > 1
UNION ALL
SELECT false, 'tickers that training never saw', count(*) FROM unseen;
