-- Tell when trees ended, those whose tasks have all ended. Nothing is ever added to such a tree.
SELECT root_task_id, max(end_time) AS end_time FROM task
WHERE root_task_id = ANY ($1::text[])
GROUP BY root_task_id
HAVING bool_and(end_time IS NOT NULL)
