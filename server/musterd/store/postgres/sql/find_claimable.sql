-- Lock the first tasks of the queue that nobody holds, or one of the dead owners $1. $3 to $6 are the full groups:
-- tenants, users (tenant and user) and trees. $7 are tasks that are passed over.
SELECT number, task_id, tenant_id, user_id, root_task_id, attempt
FROM (
    SELECT * FROM (
        SELECT number, task_id, tenant_id, user_id, root_task_id, attempt, queue_key
        FROM task
        WHERE owner IS NULL AND end_time IS NULL AND state <> 'auth_required' AND wake_time IS NULL
          AND tenant_id <> ALL ($3::text[])
          AND NOT EXISTS (
              SELECT FROM unnest($4::text[], $5::text[]) AS full_user (tenant_id, user_id)
              WHERE full_user.tenant_id = task.tenant_id AND full_user.user_id = task.user_id
          )
          AND root_task_id <> ALL ($6::text[])
          AND number <> ALL ($7::bigint[])
        ORDER BY queue_key, task_id
        LIMIT $2
        FOR UPDATE SKIP LOCKED
    ) AS unowned
    UNION ALL
    SELECT * FROM (
        SELECT number, task_id, tenant_id, user_id, root_task_id, attempt, queue_key
        FROM task
        WHERE owner = ANY ($1::text[]) AND end_time IS NULL AND state <> 'auth_required'
          AND tenant_id <> ALL ($3::text[])
          AND NOT EXISTS (
              SELECT FROM unnest($4::text[], $5::text[]) AS full_user (tenant_id, user_id)
              WHERE full_user.tenant_id = task.tenant_id AND full_user.user_id = task.user_id
          )
          AND root_task_id <> ALL ($6::text[])
          AND number <> ALL ($7::bigint[])
        ORDER BY queue_key, task_id
        LIMIT $2
        FOR UPDATE SKIP LOCKED
    ) AS orphaned
) AS claimable
ORDER BY queue_key, task_id
LIMIT $2
