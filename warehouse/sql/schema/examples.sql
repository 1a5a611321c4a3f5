-- grain: one row per example spec, ticker and session
-- `input` is everything known at decision_ts; `label` arrives later. label NULL: label_reason says why.
-- features: the rows of `features` that the example holds, one per column of its spec in order, with NULL
-- known_at where none was known; NULL for a spec without own columns.
CREATE TABLE IF NOT EXISTS examples (
    spec_id                VARCHAR NOT NULL,
    example_id             VARCHAR NOT NULL,
    ticker                 VARCHAR NOT NULL,
    session                DATE NOT NULL,
    decision_ts            TIMESTAMPTZ NOT NULL,
    max_input_available_at TIMESTAMPTZ NOT NULL,
    label_start_ts         TIMESTAMPTZ NOT NULL,
    label_end_ts           TIMESTAMPTZ NOT NULL,
    label                  VARCHAR,
    label_reason           VARCHAR NOT NULL,
    label_return           DOUBLE,
    previous_return        DOUBLE,
    availability           VARCHAR NOT NULL,
    headline_ids           VARCHAR[] NOT NULL,
    story_ids              VARCHAR[] NOT NULL,
    input                  VARCHAR NOT NULL,
    features               STRUCT(feature_set VARCHAR, name VARCHAR, ticker VARCHAR, known_at TIMESTAMPTZ, revision INTEGER, number DOUBLE, text VARCHAR)[]
);
