CREATE TABLE IF NOT EXISTS memberships (
    universe     VARCHAR NOT NULL,
    ticker       VARCHAR NOT NULL,
    member_from  DATE NOT NULL,
    member_until DATE
);

COMMENT ON TABLE memberships IS
    'One row per membership: a universe, a ticker and the first day of its membership.';
COMMENT ON COLUMN memberships.universe IS 'Name of the dated universe.';
COMMENT ON COLUMN memberships.ticker IS 'Symbol of the share or index, in capitals, as the universe has it.';
COMMENT ON COLUMN memberships.member_from IS 'Exchange-local date of the first day of the membership.';
COMMENT ON COLUMN memberships.member_until IS
    'Exchange-local date of the first day on which the ticker is no member any more; NULL while it is one.';
