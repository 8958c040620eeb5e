-- Let an owner live from now on, for $2 microseconds. An owner that is there stays as it is.
INSERT INTO replica (owner, expires_at)
VALUES ($1, (extract(epoch FROM clock_timestamp()) * 1000000)::bigint + $2)
ON CONFLICT (owner) DO NOTHING
RETURNING expires_at
