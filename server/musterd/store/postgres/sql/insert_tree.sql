-- Begin a tree.
INSERT INTO tree (root_task_id, tenant_id, last_sequence, create_day, limits) VALUES ($1, $2, 0, $3, $4)
RETURNING number
