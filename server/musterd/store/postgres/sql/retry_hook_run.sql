-- Let a dead hook begin again at $2.
UPDATE hook_run
SET state = 'pending', attempts = 0, next_attempt_time = $2, update_time = $2
WHERE hook_run_id = $1 AND state = 'dead'
RETURNING
    hook_run_id, task_id, phase, position, name, state, attempts, error, create_time, update_time, next_attempt_time
