-- Tell in which state a task is.
SELECT state FROM task WHERE task_id = $1
