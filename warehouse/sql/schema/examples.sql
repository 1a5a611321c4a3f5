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

COMMENT ON TABLE examples IS
    'One row per example specification, ticker and session: what was known at the decision and, later, what '
    'came of it.';
COMMENT ON COLUMN examples.spec_id IS
    'Id of the example specification (clock, label, wording, features): the hash that names it.';
COMMENT ON COLUMN examples.example_id IS 'TICKER@SESSION: the example, unique within its specification.';
COMMENT ON COLUMN examples.ticker IS 'Symbol of the share or index, in capitals, as the universe has it.';
COMMENT ON COLUMN examples.session IS 'Exchange-local date of the session that is predicted.';
COMMENT ON COLUMN examples.decision_ts IS
    'UTC instant of the decision: all that the input holds was available strictly before it.';
COMMENT ON COLUMN examples.max_input_available_at IS
    'UTC instant at which the last of what the input holds became available; before decision_ts.';
COMMENT ON COLUMN examples.label_start_ts IS 'UTC instant at which the entry price of the label is struck.';
COMMENT ON COLUMN examples.label_end_ts IS 'UTC instant at which the exit price of the label is struck.';
COMMENT ON COLUMN examples.label IS 'up or down; NULL while there is none, and label_reason says why.';
COMMENT ON COLUMN examples.label_reason IS
    'labelled, or why there is no label: pending, missing_bar, unfinished, halted, split_in_window, '
    'unexplained_split, implausible_return, missing_benchmark, unchanged, dead_band.';
COMMENT ON COLUMN examples.label_return IS
    'Return over the label window as a fraction (0.01: one percent), less the benchmark''s if there is one; '
    'NULL where it cannot be computed.';
COMMENT ON COLUMN examples.previous_return IS
    'Return of the last such window that was over at the decision, as a fraction; NULL where it is not known.';
COMMENT ON COLUMN examples.availability IS
    'observed if every headline gathered for it was, or there is none; asserted if any was.';
COMMENT ON COLUMN examples.headline_ids IS 'Headlines shown in the input, oldest first; see headlines.';
COMMENT ON COLUMN examples.story_ids IS 'Their stories, in the same order.';
COMMENT ON COLUMN examples.input IS
    'The prompt: everything known at decision_ts, as the specification words it.';
COMMENT ON COLUMN examples.features IS
    'Rows of features that the example holds, one per column of its specification in order (known_at is a UTC '
    'instant, and NULL where no value was known); NULL for a specification without own columns.';
