-- Read the number of a task that a viewer, if there is one, may see. The empty text keeps the planner from finding rows by
-- their tenant, which may have any number of them.
SELECT number FROM task
WHERE task_id = $1 AND tenant_id || '' = coalesce($2, tenant_id) AND user_id || '' = coalesce($3, user_id)
