-- grain: no rows; evaluations name the baseline in a column instead of inside the metric
ALTER TABLE evaluations ADD COLUMN IF NOT EXISTS baseline VARCHAR;
UPDATE evaluations
SET metric = split_part(metric, '_vs_', 1), baseline = split_part(metric, '_vs_', 2)
WHERE contains(metric, '_vs_');
