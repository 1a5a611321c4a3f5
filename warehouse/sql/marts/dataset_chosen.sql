-- grain: one row per example of a split in a stretch of sessions
CREATE OR REPLACE TEMP TABLE chosen_names AS
SELECT $spec_id AS spec_id, ticker, session
FROM split_rows
WHERE fate = $fate AND session BETWEEN $first_session AND $last_session;

CREATE OR REPLACE TEMP VIEW chosen AS
SELECT e.*
FROM chosen_names AS n
JOIN examples AS e USING (spec_id, ticker, session);
