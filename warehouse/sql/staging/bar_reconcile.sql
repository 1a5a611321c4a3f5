-- grain: one row per bar in the vendor's answer, with whether the client handed it on unaltered
-- The client spells null and NaN alike and a null volume 0; numbers must agree to the last bit.
-- fetched_on NULL: the vendor quotes the share basis of the session itself.
SELECT
    $ticker AS ticker,
    answered.*,
    coalesce($fetched_on::DATE, answered.session) AS basis_date,
    $payload_id AS payload_id,
    client.session IS NOT NULL
    AND client.open IS NOT DISTINCT FROM CASE WHEN NOT isnan(answered.open) THEN answered.open END
    AND client.high IS NOT DISTINCT FROM CASE WHEN NOT isnan(answered.high) THEN answered.high END
    AND client.low IS NOT DISTINCT FROM CASE WHEN NOT isnan(answered.low) THEN answered.low END
    AND client.close IS NOT DISTINCT FROM CASE WHEN NOT isnan(answered.close) THEN answered.close END
    AND client.volume = CASE WHEN isnan(answered.volume) THEN 0 ELSE coalesce(answered.volume, 0) END
        AS agrees
FROM answered
LEFT JOIN client USING (session)
ORDER BY answered.position;
