-- grain: one row per headline and revision; superseded_at NULL: what it says now
-- wording: 1 for what a headline says now, and negative for what it said before it was edited.
CREATE OR REPLACE TEMP VIEW headline_versions AS
SELECT
    headline_id, revision, 1 AS wording, title, summary, published_at, available_at, payload_id,
    NULL::TIMESTAMPTZ AS superseded_at
FROM headlines
UNION ALL
SELECT
    headline_id, revision, -revision, title, summary, published_at, available_at, payload_id,
    superseded_at
FROM headline_revisions;
