-- grain: one inserted row per stored action about to be replaced by a newer vintage
INSERT INTO action_revisions BY NAME
SELECT
    actions.*,
    $now::TIMESTAMPTZ AS superseded_at
FROM actions
SEMI JOIN superseding USING (ticker, ex_date, kind);
