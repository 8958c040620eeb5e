-- Let the tasks above a task be claimed that are parked. The limit makes it look for one parent after the other.
WITH RECURSIVE above AS (
    SELECT $1::text COLLATE "C" AS task_id
    UNION ALL
    SELECT parent.task_id
    FROM above, LATERAL (SELECT parent_task_id AS task_id FROM task WHERE task.task_id = above.task_id LIMIT 1) AS parent
)
UPDATE task SET wake_time = NULL
WHERE task_id = ANY (ARRAY(SELECT task_id FROM above WHERE task_id <> $1))
  AND park_time IS NOT NULL AND wake_time IS NOT NULL
RETURNING task_id
