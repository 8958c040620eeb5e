-- Store hooks of the ended task $1 ($2 to $5), which may begin at once ($6), and what they are called with ($7 and $8).
WITH stored AS (
    INSERT INTO hook_run
        (tenant_id, user_id, hook_run_id, task_id, phase, position, name, state, attempts, create_time, update_time,
         next_attempt_time)
    SELECT
        task.tenant_id, task.user_id, new.hook_run_id, task.task_id, new.phase, new.position, new.name, 'pending', 0,
        $6, $6, $6
    FROM task, unnest($2::text[], $3::text[], $4::int[], $5::bytea[]) AS new (hook_run_id, phase, position, name)
    WHERE task.number = $1
)
INSERT INTO hook_payload (tenant_id, task, phase, payload)
SELECT task.tenant_id, task.number, new.phase, new.payload
FROM task, unnest($7::text[], $8::bytea[]) AS new (phase, payload)
WHERE task.number = $1
ON CONFLICT DO NOTHING
