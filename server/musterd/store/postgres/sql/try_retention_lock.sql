-- Let one session at a time remove what is old.
SELECT pg_try_advisory_lock(hashtext('musterd retention'), hashtext(current_schema()))
