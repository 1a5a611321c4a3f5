-- grain: no rows; columns that warehouses made before version 1 lack (those rows keep NULL)
ALTER TABLE sessions ADD COLUMN IF NOT EXISTS calendar_version VARCHAR;
ALTER TABLE datasets ADD COLUMN IF NOT EXISTS spec_digest VARCHAR;
ALTER TABLE predictions ADD COLUMN IF NOT EXISTS headline_ids VARCHAR[];
ALTER TABLE predictions ADD COLUMN IF NOT EXISTS input_sha256 VARCHAR;
