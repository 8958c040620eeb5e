-- Count the children of a task that have not ended, and those of them that are parked.
SELECT count(*) AS live, count(wake_time) AS parked FROM task WHERE parent_task_id = $1 AND end_time IS NULL
