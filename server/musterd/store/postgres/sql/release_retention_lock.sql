-- Let others remove what is old.
SELECT pg_advisory_unlock(hashtext('musterd retention'), hashtext(current_schema()))
