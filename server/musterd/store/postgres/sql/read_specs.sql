-- Read what tasks are asked to do.
SELECT task, tenant_id, format, spec, blobs FROM task_spec WHERE task = ANY ($1::bigint[])
