-- Remove tasks.
DELETE FROM task WHERE number = ANY ($1::bigint[])
