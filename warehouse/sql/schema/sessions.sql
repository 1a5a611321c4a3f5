-- grain: one row per exchange and session
-- Regular trading hours from exchange_calendars; UTC instants, `session` is the exchange's local date.
-- Whole calendar years, without holes. calendar_version: the release of exchange_calendars they come from.
CREATE TABLE IF NOT EXISTS sessions (
    exchange         VARCHAR NOT NULL,
    session          DATE NOT NULL,
    open_ts          TIMESTAMPTZ NOT NULL,
    close_ts         TIMESTAMPTZ NOT NULL,
    calendar_version VARCHAR
);
