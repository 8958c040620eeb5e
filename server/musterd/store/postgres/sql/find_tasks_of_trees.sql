-- Find tasks of trees that have all ended, the newest first: the root is the last to go.
SELECT number, task_id FROM task WHERE root_task_id = ANY ($1::text[])
ORDER BY create_time DESC, task_id DESC
LIMIT $2
