-- grain: one row per ticker, session and vendor that was to give the bar before the one that gave it
-- source gave the bar, lacking did not, reason says why (in the run of recorded_at). Neither row goes when
-- `lacking` gives the bar later on: what was known until then rests on the other one.
CREATE TABLE IF NOT EXISTS substitutions (
    ticker       VARCHAR NOT NULL,
    session      DATE NOT NULL,
    source       VARCHAR NOT NULL,
    lacking      VARCHAR NOT NULL,
    reason       VARCHAR NOT NULL,
    recorded_at  TIMESTAMPTZ NOT NULL
);
