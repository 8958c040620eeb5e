-- Read a hook's run that a viewer may see; with a NULL tenant, whoever it belongs to.
SELECT
    hook_run_id, task_id, phase, position, name, state, attempts, error, create_time, update_time, next_attempt_time
FROM hook_run
WHERE hook_run_id = $1
  AND tenant_id || '' = coalesce($2, tenant_id) AND user_id || '' = coalesce($3, user_id)
