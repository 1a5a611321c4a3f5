-- grain: no rows; examples name the own columns they hold (examples of specs without any keep NULL)
ALTER TABLE examples ADD COLUMN IF NOT EXISTS features STRUCT(
    feature_set VARCHAR, name VARCHAR, ticker VARCHAR, known_at TIMESTAMPTZ, revision INTEGER,
    number DOUBLE, text VARCHAR
)[];
