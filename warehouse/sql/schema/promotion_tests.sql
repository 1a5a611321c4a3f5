CREATE TABLE IF NOT EXISTS promotion_tests (
    test_no    BIGINT NOT NULL,
    challenger VARCHAR NOT NULL,
    champion   VARCHAR NOT NULL
);

COMMENT ON TABLE promotion_tests IS
    'One row per challenger and champion that were ever tested against each other, numbered in that order.';
COMMENT ON COLUMN promotion_tests.test_no IS
    'Number of the test, from 1; it decides which share of the chance of a false promotion the test may '
    'spend.';
COMMENT ON COLUMN promotion_tests.challenger IS 'Record that was tested: a model''s id.';
COMMENT ON COLUMN promotion_tests.champion IS 'Record that it was tested against: a model''s id.';
