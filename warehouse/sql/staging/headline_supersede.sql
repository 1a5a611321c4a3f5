-- grain: one inserted row per stored headline about to be replaced by a newer revision
INSERT INTO headline_revisions BY NAME
SELECT
    headline_id,
    revision,
    title,
    summary,
    published_at,
    available_at,
    payload_id,
    $now::TIMESTAMPTZ AS superseded_at
FROM headlines
SEMI JOIN superseding USING (headline_id);
