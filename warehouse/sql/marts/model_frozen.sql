-- grain: one row per incoming model that is past candidacy under other weights
SELECT stored.stage, stored.adapter_sha256
FROM models AS stored
INNER JOIN incoming_models AS incoming USING (model_id)
WHERE stored.stage <> 'candidate'
    AND stored.adapter_sha256 <> incoming.adapter_sha256;
