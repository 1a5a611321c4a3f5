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

COMMENT ON TABLE headlines IS
    'One row per headline: a story in the words of one feed, in its current revision.';
COMMENT ON COLUMN headlines.headline_id IS
    'Id that survives changed guids and links: a hash of source, instant and title (of a filing, of its '
    'accession number), in hex.';
COMMENT ON COLUMN headlines.story_id IS
    'Group of exact and near duplicates across feeds: the headline_id of its earliest headline.';
COMMENT ON COLUMN headlines.source IS 'Publisher, feed or archive that the headline came from.';
COMMENT ON COLUMN headlines.title IS 'Title on one line, cleaned of markup and control characters.';
COMMENT ON COLUMN headlines.summary IS 'Summary in plain text; NULL where the feed gives none.';
COMMENT ON COLUMN headlines.url IS 'Address of the article, secrets hidden; NULL where the feed gives none.';
COMMENT ON COLUMN headlines.guid IS 'Id that the feed gives the item; NULL where it gives none.';
COMMENT ON COLUMN headlines.published_at IS
    'UTC instant at which the publisher says it appeared; of one that is dated by the day, its stamp.';
COMMENT ON COLUMN headlines.granularity IS 'What published_at is good for: second, minute or day.';
COMMENT ON COLUMN headlines.first_seen_at IS 'UTC instant at which we first received it.';
COMMENT ON COLUMN headlines.edited_at IS
    'UTC instant at which we first saw the present words in place of others; NULL while they are the first.';
COMMENT ON COLUMN headlines.available_at IS
    'UTC instant from which a decision may use it. Observed: the later of published_at and first_seen_at. '
    'Asserted: published_at plus the declared lag, or for a day noon UTC of the next, when it is over '
    'everywhere on earth, plus that lag.';
COMMENT ON COLUMN headlines.availability IS
    'observed (we saw it arrive) or asserted (an archive or a search says when it appeared).';
COMMENT ON COLUMN headlines.synthetic IS 'Whether the text is made up, as the sandbox''s is.';
COMMENT ON COLUMN headlines.payload_id IS
    'sha256 in hex of the answer or file that the row was read from; see payloads.';
COMMENT ON COLUMN headlines.revision IS 'Number of the current wording, from 1.';
