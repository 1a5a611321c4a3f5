-- grain: one updated row per headline of a story that turned out to belong to an earlier one
UPDATE headlines SET story_id = merged.root
FROM merged
WHERE headlines.story_id = merged.story;
