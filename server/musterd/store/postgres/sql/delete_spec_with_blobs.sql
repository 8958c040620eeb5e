-- Remove what a task was asked to do, and note that it uses its large parts no more: those with the sums $3, each $4 times.
WITH gone AS (
    DELETE FROM task_spec WHERE task = $1 RETURNING task
)
UPDATE blob
SET uses = uses - (
    SELECT part.times FROM unnest($3::bytea[], $4::int[]) AS part (sha256, times) WHERE part.sha256 = blob.sha256
)
WHERE tenant_id = $2 AND sha256 = ANY ($3::bytea[]) AND EXISTS (SELECT FROM gone)
