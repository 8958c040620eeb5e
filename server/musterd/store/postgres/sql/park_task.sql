-- Note that a task waits for its open approvals without an owner, from $2 on and no longer than the first of them.
UPDATE task
SET park_time = $2,
    wake_time = (SELECT min(expire_time) FROM approval WHERE approval.task_id = $1 AND approval.state || '' = 'open')
WHERE task_id = $1
