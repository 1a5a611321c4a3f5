-- grain: one row per example of the stretch, in the order in which it is stored
SELECT *
FROM fresh_examples
ORDER BY session, ticker;
