-- grain: one row: whether any headline of the warehouse is synthetic
SELECT coalesce(bool_or(synthetic), false) AS synthetic FROM headlines;
