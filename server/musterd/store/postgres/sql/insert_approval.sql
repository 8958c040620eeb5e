-- Store an open approval.
INSERT INTO approval (tenant_id, approval_id, task_id, root_task_id, root_create_time, state, body, expire_time)
SELECT tenant_id, $2, $3, task_id, create_time, 'open', $4, $5 FROM task WHERE task_id = $1
