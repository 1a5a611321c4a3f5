-- grain: one temporary table dropped; the stored examples are seen again
DROP TABLE IF EXISTS temp.main.examples;
