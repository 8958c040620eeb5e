-- Read a task, whoever it belongs to.
SELECT * FROM shown_task WHERE task_id = $1
