-- Lock groups ($1) as lock_groups does, and tell which: those that others have locked are passed over.
SELECT name
FROM unnest($1::text[]) AS one (name)
WHERE pg_try_advisory_xact_lock(hashtext('musterd caps ' || current_schema()), hashtext(name))
