-- Remove what tasks were asked to do.
DELETE FROM task_spec WHERE task = ANY ($1::bigint[])
