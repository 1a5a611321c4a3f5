CREATE TABLE IF NOT EXISTS bar_revisions (
    ticker           VARCHAR NOT NULL,
    session          DATE NOT NULL,
    open             DOUBLE NOT NULL,
    high             DOUBLE NOT NULL,
    low              DOUBLE NOT NULL,
    close            DOUBLE NOT NULL,
    volume           BIGINT NOT NULL,
    vendor_adj_close DOUBLE,
    basis_date       DATE NOT NULL,
    source           VARCHAR NOT NULL,
    payload_id       VARCHAR NOT NULL,
    recorded_at      TIMESTAMPTZ NOT NULL,
    vintage          INTEGER NOT NULL,
    superseded_at    TIMESTAMPTZ NOT NULL
);

COMMENT ON TABLE bar_revisions IS
    'One row per ticker, session and superseded vintage of a bar: what bars held before a source restated it.';
COMMENT ON COLUMN bar_revisions.ticker IS
    'Symbol of the share or index, in capitals, as the universe has it.';
COMMENT ON COLUMN bar_revisions.session IS 'Exchange-local date of the session.';
COMMENT ON COLUMN bar_revisions.open IS
    'First price of the session, in the source''s currency unit per share, as quoted on basis_date.';
COMMENT ON COLUMN bar_revisions.high IS
    'Highest price of the session, in the source''s currency unit per share, as quoted on basis_date.';
COMMENT ON COLUMN bar_revisions.low IS
    'Lowest price of the session, in the source''s currency unit per share, as quoted on basis_date.';
COMMENT ON COLUMN bar_revisions.close IS
    'Last price of the session, in the source''s currency unit per share, as quoted on basis_date.';
COMMENT ON COLUMN bar_revisions.volume IS 'Shares traded in the session, on the share basis of basis_date.';
COMMENT ON COLUMN bar_revisions.vendor_adj_close IS
    'Close as the vendor adjusted it for splits and dividends, in the source''s currency unit per share; NULL '
    'where the vendor gives none. Restated by later dividends.';
COMMENT ON COLUMN bar_revisions.basis_date IS
    'Date whose share count prices and volume are expressed in: every split with ex_date up to it is already '
    'inside them.';
COMMENT ON COLUMN bar_revisions.source IS
    'Vendor, feed or archive that the row came from, by its name in the configuration.';
COMMENT ON COLUMN bar_revisions.payload_id IS
    'sha256 in hex of the answer or file that the row was read from; see payloads.';
COMMENT ON COLUMN bar_revisions.recorded_at IS
    'UTC instant at which this vintage was written to the warehouse.';
COMMENT ON COLUMN bar_revisions.vintage IS
    'Number of this version of the bar, from 1; a restatement by the source makes the next.';
COMMENT ON COLUMN bar_revisions.superseded_at IS 'UTC instant at which the next vintage took its place.';
