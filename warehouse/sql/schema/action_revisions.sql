CREATE TABLE IF NOT EXISTS action_revisions (
    ticker        VARCHAR NOT NULL,
    ex_date       DATE NOT NULL,
    kind          VARCHAR NOT NULL,
    value         DOUBLE NOT NULL,
    basis_date    DATE NOT NULL,
    source        VARCHAR NOT NULL,
    payload_id    VARCHAR NOT NULL,
    recorded_at   TIMESTAMPTZ NOT NULL,
    vintage       INTEGER NOT NULL,
    superseded_at TIMESTAMPTZ NOT NULL
);

COMMENT ON TABLE action_revisions IS
    'One row per ticker, ex-date, kind and superseded vintage of a split or dividend.';
COMMENT ON COLUMN action_revisions.ticker IS
    'Symbol of the share or index, in capitals, as the universe has it.';
COMMENT ON COLUMN action_revisions.ex_date IS
    'Exchange-local date of the first session that trades without the dividend, or in new shares.';
COMMENT ON COLUMN action_revisions.kind IS 'split or dividend.';
COMMENT ON COLUMN action_revisions.value IS
    'Of a split the number of new shares per old share (a ratio); of a dividend the amount per share in the '
    'source''s currency unit.';
COMMENT ON COLUMN action_revisions.basis_date IS
    'Date whose share count a dividend is quoted in, as in bars; of a split its ex_date.';
COMMENT ON COLUMN action_revisions.source IS
    'Vendor, feed or archive that the row came from, by its name in the configuration.';
COMMENT ON COLUMN action_revisions.payload_id IS
    'sha256 in hex of the answer or file that the row was read from; see payloads.';
COMMENT ON COLUMN action_revisions.recorded_at IS
    'UTC instant at which this vintage was written to the warehouse.';
COMMENT ON COLUMN action_revisions.vintage IS
    'Number of this version of the action, from 1; a restatement by the source makes the next.';
COMMENT ON COLUMN action_revisions.superseded_at IS 'UTC instant at which the next vintage took its place.';
