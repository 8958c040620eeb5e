-- Note how long a task waits by now, if it is parked: not without an open approval, and no longer than the first of them,
-- or a task below it.
UPDATE task
SET wake_time = CASE WHEN wake_time IS NOT NULL THEN (
    SELECT least(min(expire_time), (
        SELECT min(child.wake_time) FROM task AS child WHERE child.parent_task_id = $1 AND child.end_time IS NULL
    ))
    FROM approval WHERE approval.task_id = $1 AND approval.state || '' = 'open' HAVING count(*) > 0
) END
WHERE task_id = $1
