-- grain: one row per source whose bars were restated
-- A flip: the superseded quote moved the other way from open to close than the one in force.
SELECT
    old.source,
    count(*) AS restated,
    count(*) FILTER (sign(old.close - old.open) <> sign(bars.close - bars.open)) AS flipped,
    max(old.superseded_at) AS last_superseded_at
FROM bar_revisions AS old
JOIN bars USING (ticker, session)
GROUP BY old.source
ORDER BY old.source;
