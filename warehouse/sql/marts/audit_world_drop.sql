-- grain: one row per temporary table dropped; the warehouse's own tables are seen again
DROP TABLE IF EXISTS temp.main.headlines;
DROP TABLE IF EXISTS temp.main.headline_revisions;
DROP TABLE IF EXISTS temp.main.headline_tickers;
DROP TABLE IF EXISTS temp.main.bars;
DROP TABLE IF EXISTS temp.main.bar_revisions;
DROP TABLE IF EXISTS temp.main.actions;
DROP TABLE IF EXISTS temp.main.audit_bars;

DELETE FROM disturbed;
