-- Store what a task is asked to do in another form.
UPDATE task_spec SET format = $3, spec = $4 WHERE task = $1 AND tenant_id = $2
