-- Note that a task waits without an owner, from $2 on: no longer than the first of its approvals, or a task below it.
UPDATE task
SET park_time = $2,
    wake_time = least(
        (SELECT min(expire_time) FROM approval WHERE approval.task_id = $1 AND approval.state || '' = 'open'),
        (SELECT min(child.wake_time) FROM task AS child WHERE child.parent_task_id = $1 AND child.end_time IS NULL)
    )
WHERE task_id = $1
