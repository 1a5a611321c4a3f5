-- grain: no rows; ranges of the ledger tell what was expected, what came, what is missing, and when it is
-- asked again (ranges from before stay done or failed, and keep NULL)
ALTER TABLE partitions ADD COLUMN IF NOT EXISTS expected BIGINT;
ALTER TABLE partitions ADD COLUMN IF NOT EXISTS received BIGINT;
ALTER TABLE partitions ADD COLUMN IF NOT EXISTS missing DATE[];
ALTER TABLE partitions ADD COLUMN IF NOT EXISTS retry_at TIMESTAMPTZ;
