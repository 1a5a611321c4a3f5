-- grain: one row per ticker, session and vintage of its bar; superseded_at NULL: the current one
CREATE OR REPLACE TEMP VIEW bar_versions AS
SELECT *, NULL::TIMESTAMPTZ AS superseded_at FROM bars
UNION ALL BY NAME
SELECT * FROM bar_revisions;
