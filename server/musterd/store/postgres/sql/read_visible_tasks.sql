-- Read those of the tasks that a viewer may see. The empty text keeps the planner from finding rows by their tenant,
-- which may have any number of them.
SELECT * FROM shown_task
WHERE task_id = ANY ($1::text[]) AND tenant_id || '' = $2 AND user_id || '' = coalesce($3, user_id)
