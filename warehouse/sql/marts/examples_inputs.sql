-- grain: one row per example of the stretch, as worded so far
SELECT ticker, session, input
FROM fresh_examples
ORDER BY ticker, session;
