-- grain: one row per headline (a story in the words of one feed, its current revision)
-- available_at = max(published_at, first_seen_at) when observed; published_at + declared lag when asserted.
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
    first_seen_at TIMESTAMPTZ NOT NULL,
    edited_at     TIMESTAMPTZ,
    available_at  TIMESTAMPTZ NOT NULL,
    availability  VARCHAR NOT NULL,
    synthetic     BOOLEAN NOT NULL,
    payload_id    VARCHAR NOT NULL,
    revision      INTEGER NOT NULL
);
