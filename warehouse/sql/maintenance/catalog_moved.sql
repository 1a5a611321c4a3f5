-- grain: no rows; tells a restored catalog where its data files are now
UPDATE catalog.ducklake_metadata SET value = $storage WHERE key = 'data_path';
