-- grain: one row per validation run and expectation
CREATE TABLE IF NOT EXISTS checks (
    check_id    VARCHAR NOT NULL,
    suite       VARCHAR NOT NULL,
    batch       VARCHAR NOT NULL,
    expectation VARCHAR NOT NULL,
    success     BOOLEAN NOT NULL,
    observed    VARCHAR NOT NULL,
    checked_at  TIMESTAMPTZ NOT NULL
);
