-- grain: one row per headline and superseded revision
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
