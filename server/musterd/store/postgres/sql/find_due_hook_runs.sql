-- Find hooks to run: those whose time has come ($4, NULL is the database's own), those whose owner does not live, and those
-- that $1 has and does not know of: it knows $2.
SELECT hook_run_id, task_id
FROM (
    (
        SELECT number, hook_run_id, task_id
        FROM hook_run
        WHERE state = 'running'
          AND CASE
              WHEN owner = $1 THEN hook_run_id <> ALL ($2::text[])
              ELSE NOT EXISTS (
                  SELECT FROM replica
                  WHERE replica.owner = hook_run.owner
                    AND replica.expires_at > (extract(epoch FROM clock_timestamp()) * 1000000)::bigint
              )
          END
        ORDER BY number
        LIMIT $3
    )
    UNION ALL
    (
        SELECT number, hook_run_id, task_id
        FROM hook_run
        WHERE state = 'pending'
          AND next_attempt_time <= coalesce($4, (extract(epoch FROM clock_timestamp()) * 1000000)::bigint)
        ORDER BY next_attempt_time, number
        LIMIT $3
    )
) AS due
ORDER BY number
LIMIT $3
