-- grain: one row per freshly derived example that has a label
CREATE OR REPLACE TEMP VIEW chosen AS
SELECT * FROM fresh_examples WHERE label IS NOT NULL;
