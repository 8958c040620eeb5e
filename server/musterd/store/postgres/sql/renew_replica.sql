-- Let an owner that lives go on for $2 microseconds from now: one whose time is over stays dead.
UPDATE replica
SET expires_at = (extract(epoch FROM clock_timestamp()) * 1000000)::bigint + $2
WHERE owner = $1 AND expires_at > (extract(epoch FROM clock_timestamp()) * 1000000)::bigint
RETURNING expires_at
