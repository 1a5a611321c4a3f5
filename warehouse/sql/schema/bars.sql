CREATE TABLE IF NOT EXISTS bars (
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
    vintage          INTEGER NOT NULL
);

COMMENT ON TABLE bars IS
    'One row per ticker and session: the latest vintage of its bar. Prices are stored as the source quoted '
    'them and never adjusted in place.';
COMMENT ON COLUMN bars.ticker IS 'Symbol of the share or index, in capitals, as the universe has it.';
COMMENT ON COLUMN bars.session IS 'Exchange-local date of the session.';
COMMENT ON COLUMN bars.open IS
    'First price of the session, in the source''s currency unit per share, as quoted on basis_date.';
COMMENT ON COLUMN bars.high IS
    'Highest price of the session, in the source''s currency unit per share, as quoted on basis_date.';
COMMENT ON COLUMN bars.low IS
    'Lowest price of the session, in the source''s currency unit per share, as quoted on basis_date.';
COMMENT ON COLUMN bars.close IS
    'Last price of the session, in the source''s currency unit per share, as quoted on basis_date.';
COMMENT ON COLUMN bars.volume IS 'Shares traded in the session, on the share basis of basis_date.';
COMMENT ON COLUMN bars.vendor_adj_close IS
    'Close as the vendor adjusted it for splits and dividends, in the source''s currency unit per share; NULL '
    'where the vendor gives none. Restated by later dividends.';
COMMENT ON COLUMN bars.basis_date IS
    'Date whose share count prices and volume are expressed in: every split with ex_date up to it is already '
    'inside them. An unadjusted source has the session itself; Yahoo restates splits, so there it is the date '
    'of the fetch.';
COMMENT ON COLUMN bars.source IS
    'Vendor, feed or archive that the row came from, by its name in the configuration.';
COMMENT ON COLUMN bars.payload_id IS
    'sha256 in hex of the answer or file that the row was read from; see payloads.';
COMMENT ON COLUMN bars.recorded_at IS 'UTC instant at which this vintage was written to the warehouse.';
COMMENT ON COLUMN bars.vintage IS
    'Number of this version of the bar, from 1; a restatement by the source makes the next.';
