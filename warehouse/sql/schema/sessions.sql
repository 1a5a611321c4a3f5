CREATE TABLE IF NOT EXISTS sessions (
    exchange         VARCHAR NOT NULL,
    session          DATE NOT NULL,
    open_ts          TIMESTAMPTZ NOT NULL,
    close_ts         TIMESTAMPTZ NOT NULL,
    calendar_version VARCHAR
);

COMMENT ON TABLE sessions IS
    'One row per exchange and session: regular trading hours, whole calendar years without holes.';
COMMENT ON COLUMN sessions.exchange IS 'ISO 10383 code of the exchange.';
COMMENT ON COLUMN sessions.session IS 'Exchange-local date of the session.';
COMMENT ON COLUMN sessions.open_ts IS 'UTC instant of the opening.';
COMMENT ON COLUMN sessions.close_ts IS 'UTC instant of the close.';
COMMENT ON COLUMN sessions.calendar_version IS
    'Release of exchange_calendars that the hours come from; NULL in rows from before it was kept.';
