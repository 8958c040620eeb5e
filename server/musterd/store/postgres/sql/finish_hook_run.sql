-- Note how the attempt $2 of a hook ended at $6, if it is the current one.
UPDATE hook_run
SET state = $3, owner = NULL, error = $4, next_attempt_time = $5, update_time = $6
WHERE hook_run_id = $1 AND attempts = $2 AND state = 'running'
