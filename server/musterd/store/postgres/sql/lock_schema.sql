-- Let one session at a time change the schema.
SELECT pg_advisory_lock(hashtext('musterd schema'), hashtext($1))
