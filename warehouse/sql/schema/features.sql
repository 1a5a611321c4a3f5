CREATE TABLE IF NOT EXISTS features (
    feature_set   VARCHAR NOT NULL,
    ticker        VARCHAR NOT NULL,
    known_at      TIMESTAMPTZ NOT NULL,
    granularity   VARCHAR NOT NULL,
    name          VARCHAR NOT NULL,
    number        DOUBLE,
    text          VARCHAR,
    available_at  TIMESTAMPTZ NOT NULL,
    first_seen_at TIMESTAMPTZ NOT NULL,
    payload_id    VARCHAR NOT NULL,
    revision      INTEGER NOT NULL
);

COMMENT ON TABLE features IS
    'One row per feature set, ticker, known_at, name and revision: a value of a column of the user''s own.';
COMMENT ON COLUMN features.feature_set IS 'Name of the set, as [[features]] has it.';
COMMENT ON COLUMN features.ticker IS 'Symbol that the value is about; * means the whole market.';
COMMENT ON COLUMN features.known_at IS
    'UTC instant from which the value was known, as the file stamps it; of a day its first instant.';
COMMENT ON COLUMN features.granularity IS 'What known_at is good for: second, minute or day.';
COMMENT ON COLUMN features.name IS 'Name of the column.';
COMMENT ON COLUMN features.number IS
    'The value of a column of numbers, in the file''s own unit; NULL where the column holds text or the value '
    'is not known.';
COMMENT ON COLUMN features.text IS
    'The value of a column of words; NULL where the column holds numbers or the value is not known.';
COMMENT ON COLUMN features.available_at IS
    'UTC instant from which a decision may use it. Of revision 1 known_at (for a day noon UTC of the next, '
    'when it is over everywhere on earth) plus the declared lag; of a later one not before first_seen_at.';
COMMENT ON COLUMN features.first_seen_at IS 'UTC instant at which the row was imported.';
COMMENT ON COLUMN features.payload_id IS
    'sha256 in hex of the answer or file that the row was read from; see payloads.';
COMMENT ON COLUMN features.revision IS 'From 1; 2 and more where the same row came again with another value.';
