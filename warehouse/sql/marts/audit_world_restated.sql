-- grain: one row per bar, all of them restated at $moment to other prices and volumes
CREATE OR REPLACE TEMP TABLE bar_revisions AS
SELECT * FROM lake.main.bar_revisions
UNION ALL BY NAME
SELECT *, $moment::TIMESTAMPTZ AS superseded_at FROM lake.main.bars;

CREATE OR REPLACE TEMP TABLE bars AS
SELECT * REPLACE (
    open * (1 + 0.3 * sin(epoch(session::TIMESTAMP) / 86400)) AS open,
    close * (1 + 0.3 * cos(epoch(session::TIMESTAMP) / 43200)) AS close,
    (volume * (1.5 + sin(epoch(session::TIMESTAMP) / 86400)))::BIGINT AS volume,
    vendor_adj_close * (1 + 0.3 * cos(epoch(session::TIMESTAMP) / 43200)) AS vendor_adj_close,
    $moment::TIMESTAMPTZ AS recorded_at,
    (vintage + 1)::INTEGER AS vintage
)
FROM lake.main.bars;
