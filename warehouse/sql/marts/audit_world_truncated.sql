-- grain: one temporary table per source, holding what was known at $moment and nothing later
-- They stand before the warehouse's own tables of the same names until they are dropped.
CREATE OR REPLACE TEMP TABLE headlines AS
WITH told AS (
    SELECT * FROM lake.main.headlines
    UNION ALL BY NAME
    SELECT
        h.* EXCLUDE (revision, title, summary, published_at, available_at, payload_id),
        r.* EXCLUDE (headline_id, superseded_at)
    FROM lake.main.headline_revisions AS r
    JOIN lake.main.headlines AS h USING (headline_id)
)
SELECT * FROM told
WHERE available_at < $moment
QUALIFY row_number() OVER (PARTITION BY headline_id ORDER BY revision DESC) = 1;

CREATE OR REPLACE TEMP TABLE headline_revisions AS
SELECT r.*
FROM lake.main.headline_revisions AS r
JOIN headlines AS h ON h.headline_id = r.headline_id AND r.revision < h.revision;

CREATE OR REPLACE TEMP TABLE audit_bars AS
WITH told AS (
    SELECT *, NULL::TIMESTAMPTZ AS superseded_at FROM lake.main.bars
    UNION ALL BY NAME
    SELECT * FROM lake.main.bar_revisions
), listed AS (
    SELECT ticker, arg_max(exchange, valid_from) AS exchange FROM lake.main.tickers GROUP BY ticker
)
SELECT t.*, row_number() OVER (PARTITION BY t.ticker, t.session ORDER BY t.vintage DESC) AS latest
FROM told AS t
LEFT JOIN listed AS l USING (ticker)
JOIN lake.main.sessions AS s
    ON s.exchange = coalesce(l.exchange, $exchange) AND s.session = t.session
WHERE s.close_ts + $bar_lag::INTERVAL < $moment AND (t.vintage = 1 OR t.recorded_at < $moment);

CREATE OR REPLACE TEMP TABLE bars AS
SELECT * EXCLUDE (latest, superseded_at) FROM audit_bars WHERE latest = 1;

CREATE OR REPLACE TEMP TABLE bar_revisions AS
SELECT * EXCLUDE (latest) FROM audit_bars WHERE latest > 1;

CREATE OR REPLACE TEMP TABLE actions AS
SELECT * FROM lake.main.actions WHERE ex_date <= $moment::TIMESTAMPTZ::DATE;
