-- grain: one row
-- followed: the snapshot these examples have followed the warehouse to, NULL if they must be built
-- anew: never built, built by other SQL, or the snapshots since are no longer kept.
SELECT
    now.id                                                                     AS snapshot_id,
    (
        SELECT max(b.snapshot_id)
        FROM example_builds AS b
        WHERE b.spec_id = $spec_id AND b.logic = $logic
            AND b.snapshot_id + 1 >= (SELECT min(s.snapshot_id) FROM lake.snapshots() AS s)
    )                                                                          AS followed
FROM lake.current_snapshot() AS now;
