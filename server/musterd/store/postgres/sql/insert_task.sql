-- Store a new task.
INSERT INTO task (
    task_id, root_task_id, parent_task_id, tenant_id, user_id, session_id, component_kind, component_id, state,
    priority, queue_key, attempt, owner, create_time, start_time, update_time, labels, request_id, description,
    outlives_parent, wake_time
) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $14, $16, $17, $18, $19, $20)
RETURNING number
