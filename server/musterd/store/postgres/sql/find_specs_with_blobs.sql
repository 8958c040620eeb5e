-- Find what tasks were asked to do, of those that have large parts.
SELECT task, tenant_id, blobs FROM task_spec WHERE task = ANY ($1::bigint[]) AND blobs IS NOT NULL
