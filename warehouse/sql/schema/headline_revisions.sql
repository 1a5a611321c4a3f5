CREATE TABLE IF NOT EXISTS headline_revisions (
    headline_id   VARCHAR NOT NULL,
    revision      INTEGER NOT NULL,
    title         VARCHAR NOT NULL,
    summary       VARCHAR,
    published_at  TIMESTAMPTZ NOT NULL,
    available_at  TIMESTAMPTZ NOT NULL,
    payload_id    VARCHAR NOT NULL,
    superseded_at TIMESTAMPTZ NOT NULL
);

COMMENT ON TABLE headline_revisions IS
    'One row per headline and superseded revision: what it said before it was edited.';
COMMENT ON COLUMN headline_revisions.headline_id IS 'The headline, as in headlines.';
COMMENT ON COLUMN headline_revisions.revision IS 'Number of the superseded revision.';
COMMENT ON COLUMN headline_revisions.title IS 'Title as it was.';
COMMENT ON COLUMN headline_revisions.summary IS 'Summary as it was; NULL where there was none.';
COMMENT ON COLUMN headline_revisions.published_at IS 'UTC instant at which the publisher said it appeared.';
COMMENT ON COLUMN headline_revisions.available_at IS
    'UTC instant from which a decision may use this wording.';
COMMENT ON COLUMN headline_revisions.payload_id IS
    'sha256 in hex of the answer or file that the row was read from; see payloads.';
COMMENT ON COLUMN headline_revisions.superseded_at IS
    'UTC instant at which the next revision took its place.';
