-- Read the data of large parts.
SELECT sha256, data FROM blob WHERE tenant_id = $1 AND sha256 = ANY ($2::bytea[])
