-- Give hooks to the owner $2, as far as they are still to be run at $4: see find_due_hook_runs. It knows $3.
UPDATE hook_run
SET state = 'running', attempts = attempts + 1, owner = $2, next_attempt_time = NULL, update_time = $4
WHERE hook_run_id = ANY ($1::text[])
  AND (
      (state = 'pending' AND next_attempt_time <= $4)
      OR (
          state = 'running'
          AND CASE
              WHEN owner = $2 THEN hook_run_id <> ALL ($3::text[])
              ELSE NOT EXISTS (
                  SELECT FROM replica
                  WHERE replica.owner = hook_run.owner
                    AND replica.expires_at > (extract(epoch FROM clock_timestamp()) * 1000000)::bigint
              )
          END
      )
  )
RETURNING
    number, hook_run_id, task_id, phase, position, name, state, attempts, error, create_time, update_time,
    next_attempt_time
