CREATE TABLE IF NOT EXISTS bar_readings (
    ticker           VARCHAR NOT NULL,
    session          DATE NOT NULL,
    open             DOUBLE NOT NULL,
    high             DOUBLE NOT NULL,
    low              DOUBLE NOT NULL,
    close            DOUBLE NOT NULL,
    volume           BIGINT NOT NULL,
    basis_date       DATE NOT NULL,
    source           VARCHAR NOT NULL,
    payload_id       VARCHAR NOT NULL,
    recorded_at      TIMESTAMPTZ NOT NULL
);

COMMENT ON TABLE bar_readings IS
    'One row per ticker, session and source: the latest bar that each of several vendors gave, as quoted. '
    'Filled where more than one vendor is configured; bars keeps the one value that counts, and '
    'bar_comparisons sets the others beside it.';
COMMENT ON COLUMN bar_readings.ticker IS 'Symbol of the share or index, in capitals, as the universe has it.';
COMMENT ON COLUMN bar_readings.session IS 'Exchange-local date of the session.';
COMMENT ON COLUMN bar_readings.open IS
    'First price of the session, in the source''s currency unit per share, as quoted on basis_date.';
COMMENT ON COLUMN bar_readings.high IS
    'Highest price of the session, in the source''s currency unit per share, as quoted on basis_date.';
COMMENT ON COLUMN bar_readings.low IS
    'Lowest price of the session, in the source''s currency unit per share, as quoted on basis_date.';
COMMENT ON COLUMN bar_readings.close IS
    'Last price of the session, in the source''s currency unit per share, as quoted on basis_date.';
COMMENT ON COLUMN bar_readings.volume IS 'Shares traded in the session, on the share basis of basis_date.';
COMMENT ON COLUMN bar_readings.basis_date IS
    'Date whose share count prices and volume are expressed in: every split with ex_date up to it is already '
    'inside them.';
COMMENT ON COLUMN bar_readings.source IS 'Vendor that gave this bar, by its name in the configuration.';
COMMENT ON COLUMN bar_readings.payload_id IS
    'sha256 in hex of the answer or file that the row was read from; see payloads.';
COMMENT ON COLUMN bar_readings.recorded_at IS
    'UTC instant at which this reading was written to the warehouse.';
