-- grain: one row per membership: a universe, a ticker and the first day of its membership
-- member_until: the first day on which the ticker is no member any more; NULL: it still is one.
CREATE TABLE IF NOT EXISTS memberships (
    universe     VARCHAR NOT NULL,
    ticker       VARCHAR NOT NULL,
    member_from  DATE NOT NULL,
    member_until DATE
);
