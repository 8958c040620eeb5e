-- Give a session ($1), which is locked, to the next run that waits for it and has not ended, and tell which that is. What
-- the run before it ($2) adds at a time ($3) are so many messages ($4) in JSON ($5), NULL for nothing; with $6 they take
-- the place of all that was there.
WITH following AS (
    SELECT waiting.number, waiting.task_id
    FROM session CROSS JOIN LATERAL (
        SELECT number, task_id FROM task
        WHERE task.tenant_id = session.tenant_id AND task.user_id = session.user_id
          AND task.session_id = session.session_id COLLATE "default"
          AND task.component_kind = session.component_kind COLLATE "default"
          AND task.component_id = session.component_id COLLATE "default"
          AND wake_time = 4611686018427387904 AND end_time IS NULL
        ORDER BY create_time, task_id
        LIMIT 1
        FOR UPDATE
    ) AS waiting
    WHERE session.number = $1
), unblocked AS (
    UPDATE task SET wake_time = NULL WHERE number = (SELECT number FROM following)
), forgotten AS (
    DELETE FROM session_entry WHERE session = $1 AND $6
), added AS (
    INSERT INTO session_entry (session, position, tenant_id, task_id, create_time, message_count, messages)
    SELECT number, run_count + 1, tenant_id, $2, $3, $4, $5 FROM session WHERE number = $1 AND $5::bytea IS NOT NULL
)
UPDATE session
SET holder = (SELECT task_id FROM following),
    update_time = CASE WHEN $5::bytea IS NULL THEN update_time ELSE $3 END,
    run_count = run_count + CASE WHEN $5::bytea IS NULL THEN 0 ELSE 1 END,
    message_count = $4 + CASE WHEN $6 THEN 0 ELSE message_count END,
    size_bytes = coalesce(length($5::bytea), 0) + CASE WHEN $6 THEN 0 ELSE size_bytes END
WHERE number = $1
RETURNING holder
