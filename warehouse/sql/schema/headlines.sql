-- grain: one row per headline (a story in the words of one feed, its current revision)
-- granularity: second | minute | day, what published_at is good for. A day's published_at is its stamp.
-- available_at = max(published_at, first_seen_at) when observed; when asserted published_at + declared lag,
-- or for a day the noon UTC of the next, when it is over everywhere on earth, + declared lag.
-- story_id groups exact and near duplicates across feeds; the story's earliest headline is its own story_id.
CREATE TABLE IF NOT EXISTS headlines (
    headline_id   VARCHAR NOT NULL,
    story_id      VARCHAR NOT NULL,
    source        VARCHAR NOT NULL,
    title         VARCHAR NOT NULL,
    summary       VARCHAR,
    url           VARCHAR,
    guid          VARCHAR,
    published_at  TIMESTAMPTZ NOT NULL,
    granularity   VARCHAR NOT NULL,
    first_seen_at TIMESTAMPTZ NOT NULL,
    edited_at     TIMESTAMPTZ,
    available_at  TIMESTAMPTZ NOT NULL,
    availability  VARCHAR NOT NULL,
    synthetic     BOOLEAN NOT NULL,
    payload_id    VARCHAR NOT NULL,
    revision      INTEGER NOT NULL
);
