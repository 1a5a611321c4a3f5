-- grain: one row per challenger and champion that were ever tested against each other, numbered in that order
-- test_no: from 1; it decides which share of the chance of a false promotion the test may spend.
CREATE TABLE IF NOT EXISTS promotion_tests (
    test_no    BIGINT NOT NULL,
    challenger VARCHAR NOT NULL,
    champion   VARCHAR NOT NULL
);
