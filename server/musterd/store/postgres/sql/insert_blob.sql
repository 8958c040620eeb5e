-- Store the data of a large part, unless the tenant has it.
INSERT INTO blob (tenant_id, sha256, data) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING
