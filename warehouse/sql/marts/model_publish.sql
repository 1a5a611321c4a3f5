-- grain: one row per model (merged into models)
-- A model is what its id says: its stage is changed by promotion alone, never by storing it again.
MERGE INTO models AS stored
USING incoming_models AS incoming
ON stored.model_id = incoming.model_id
WHEN MATCHED AND (
    stored.path IS DISTINCT FROM incoming.path
    OR stored.metrics IS DISTINCT FROM incoming.metrics
    OR stored.adapter_sha256 IS DISTINCT FROM incoming.adapter_sha256
) THEN UPDATE SET
    path = incoming.path,
    metrics = incoming.metrics,
    adapter_sha256 = incoming.adapter_sha256
WHEN NOT MATCHED THEN INSERT BY NAME;
