-- Find the tasks that an owner holds.
SELECT task_id, attempt FROM task WHERE owner = $1 AND end_time IS NULL AND state <> 'auth_required'
