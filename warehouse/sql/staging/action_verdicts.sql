-- grain: one row per candidate action; reason NULL: keep the action
SELECT
    candidates.*,
    CASE
        WHEN candidates.value IS NULL OR NOT isfinite(candidates.value) THEN 'value is null or infinite'
        WHEN candidates.value <= 0 THEN 'value is zero or negative'
        WHEN candidates.value > 1e5 THEN 'value is beyond that of any action'
        WHEN candidates.kind = 'split' AND abs(ln(candidates.value)) > ln(1000)
            THEN 'split ratio is beyond 1000:1'
        WHEN calendar.session IS NULL AND (SELECT count(*) FROM calendar) > 0
            THEN 'ex-date is not a session of the exchange'
    END AS reason,
    to_json({
        'ticker': candidates.ticker, 'ex_date': candidates.ex_date, 'kind': candidates.kind,
        'value': candidates.value
    })::VARCHAR AS record
FROM candidates
LEFT JOIN calendar ON candidates.ex_date = calendar.session
ORDER BY candidates.ticker, candidates.ex_date, candidates.kind;
