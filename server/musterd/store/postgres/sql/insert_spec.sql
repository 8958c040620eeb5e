-- Store what a new task is asked to do.
INSERT INTO task_spec (task, tenant_id, format, spec, blobs) VALUES ($1, $2, $3, $4, $5)
