-- grain: one row per example spec
DELETE FROM example_builds WHERE spec_id = $spec_id;

INSERT INTO example_builds BY NAME
SELECT $spec_id AS spec_id, $snapshot_id AS snapshot_id, $logic AS logic;
