-- grain: one row per freshly derived example, in front of the stored ones
CREATE OR REPLACE TEMP VIEW examples AS SELECT * FROM fresh_examples;
