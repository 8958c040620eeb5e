-- Note how long a task waits by now, if it is parked: no longer than the first of its open approvals, and not without one.
UPDATE task
SET wake_time = CASE WHEN wake_time IS NOT NULL THEN (
    SELECT min(expire_time) FROM approval WHERE approval.task_id = $1 AND approval.state || '' = 'open'
) END
WHERE task_id = $1
