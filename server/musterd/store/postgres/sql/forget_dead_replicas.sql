-- Forget the owners whose leases ran out more than $1 microseconds ago.
DELETE FROM replica WHERE expires_at < (extract(epoch FROM clock_timestamp()) * 1000000)::bigint - $1
