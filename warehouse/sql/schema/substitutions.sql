CREATE TABLE IF NOT EXISTS substitutions (
    ticker       VARCHAR NOT NULL,
    session      DATE NOT NULL,
    source       VARCHAR NOT NULL,
    lacking      VARCHAR NOT NULL,
    reason       VARCHAR NOT NULL,
    recorded_at  TIMESTAMPTZ NOT NULL
);

COMMENT ON TABLE substitutions IS
    'One row per ticker, session and vendor that was to give the bar before the one that gave it. It stays '
    'when that vendor gives the bar later on: what was known until then rests on the other one.';
COMMENT ON COLUMN substitutions.ticker IS
    'Symbol of the share or index, in capitals, as the universe has it.';
COMMENT ON COLUMN substitutions.session IS 'Exchange-local date of the session.';
COMMENT ON COLUMN substitutions.source IS 'Vendor that gave the bar.';
COMMENT ON COLUMN substitutions.lacking IS 'Vendor that was asked before and did not give it.';
COMMENT ON COLUMN substitutions.reason IS 'Why it did not, in words.';
COMMENT ON COLUMN substitutions.recorded_at IS 'UTC instant of the run that found this.';
