-- Store the data of a large part, or note one use more of it. A blob that is about to be removed is waited for.
INSERT INTO blob (tenant_id, sha256, data, uses) VALUES ($1, $2, $3, 1)
ON CONFLICT (tenant_id, sha256) DO UPDATE SET uses = blob.uses + 1
