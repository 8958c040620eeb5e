-- Let others change the schema.
SELECT pg_advisory_unlock(hashtext('musterd schema'), hashtext($1))
