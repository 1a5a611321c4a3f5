-- grain: one row per feature set, ticker, known_at, name and revision (a value of a column of the user's own)
-- ticker '*': of the whole market. known_at: the stamp as given, of a day (granularity day) its first instant.
-- number or text; both NULL: the row says that the value is not known. revision 2 and more: the same row came
-- again with another value. available_at: of revision 1 known_at (for a day noon UTC of the next, when it is
-- over everywhere on earth) + declared lag; of a later one not before first_seen_at, when it was imported.
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
