-- Read the order to cancel a task.
SELECT body FROM inbox WHERE task_id = $1 AND kind = 'cancel'
