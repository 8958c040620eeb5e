-- Find the tasks of an owner for which a message or an order to cancel waits.
SELECT DISTINCT task.task_id
FROM task JOIN inbox ON inbox.task_id = task.task_id AND inbox.state = 'pending'
WHERE task.owner = $1 AND task.end_time IS NULL
