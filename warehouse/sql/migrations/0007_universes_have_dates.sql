-- grain: no rows; no universe was dated before
CREATE TABLE IF NOT EXISTS memberships (
    universe     VARCHAR NOT NULL,
    ticker       VARCHAR NOT NULL,
    member_from  DATE NOT NULL,
    member_until DATE
);
