-- Find the tasks of a session that have not ended: its runs and what is below them. The empty texts keep the planner to
-- the index by session.
SELECT task.task_id, task.root_task_id
FROM task JOIN task AS root ON root.task_id = task.root_task_id
WHERE task.tenant_id = $1 AND task.user_id || '' = $2 AND task.session_id = $3
  AND root.component_kind || '' = $4 AND root.component_id || '' = $5 AND task.end_time IS NULL
ORDER BY task.create_time, task.task_id
