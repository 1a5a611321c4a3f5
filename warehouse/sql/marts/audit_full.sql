-- grain: one row per example that the whole warehouse gives now
CREATE OR REPLACE TEMP TABLE full_examples AS SELECT * FROM fresh_examples;

-- Examples that planted news may rightly move; filled while news is planted.
CREATE OR REPLACE TEMP TABLE disturbed (example_id VARCHAR);
