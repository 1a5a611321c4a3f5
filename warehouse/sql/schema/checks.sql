CREATE TABLE IF NOT EXISTS checks (
    check_id    VARCHAR NOT NULL,
    suite       VARCHAR NOT NULL,
    batch       VARCHAR NOT NULL,
    expectation VARCHAR NOT NULL,
    success     BOOLEAN NOT NULL,
    observed    VARCHAR NOT NULL,
    checked_at  TIMESTAMPTZ NOT NULL
);

COMMENT ON TABLE checks IS
    'One row per validation run and expectation: what the gate found in a batch before it was published or '
    'refused.';
COMMENT ON COLUMN checks.check_id IS
    'Id of the result: a hash in hex of suite, batch, instant and expectation.';
COMMENT ON COLUMN checks.suite IS
    'Name of the suite of expectations: bars, actions, headlines, headline_tickers or features.';
COMMENT ON COLUMN checks.batch IS 'What was validated: a source and range, or a file.';
COMMENT ON COLUMN checks.expectation IS 'The expectation in words, with its column and limits.';
COMMENT ON COLUMN checks.success IS 'Whether the batch met the expectation.';
COMMENT ON COLUMN checks.observed IS 'What was found instead or counted, as text.';
COMMENT ON COLUMN checks.checked_at IS 'UTC instant of the validation.';
