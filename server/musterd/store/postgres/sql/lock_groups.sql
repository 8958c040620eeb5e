-- Let one transaction at a time count the tasks of groups ($1) and add to them. All lock them in the same order.
SELECT pg_advisory_xact_lock(hashtext('musterd caps ' || current_schema()), key)
FROM (SELECT DISTINCT hashtext(name) AS key FROM unnest($1::text[]) AS one (name) ORDER BY key) AS ordered
