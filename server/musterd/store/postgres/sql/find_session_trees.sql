-- Find the trees of a session's runs. The empty texts keep the planner to the index by session.
SELECT tree.number, tree.root_task_id, tree.create_day
FROM task JOIN tree ON tree.root_task_id = task.task_id
WHERE task.tenant_id = $1 AND task.user_id || '' = $2 AND task.session_id = $3
  AND task.component_kind || '' = $4 AND task.component_id || '' = $5 AND task.parent_task_id IS NULL
