-- grain: one temporary view dropped; the stored examples are seen again
DROP VIEW IF EXISTS temp.main.examples;
