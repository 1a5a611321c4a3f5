-- grain: one inserted row per stored bar about to be replaced by a newer vintage
INSERT INTO bar_revisions BY NAME
SELECT
    bars.*,
    $now::TIMESTAMPTZ AS superseded_at
FROM bars
SEMI JOIN superseding USING (ticker, session);
