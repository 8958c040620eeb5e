-- Read at most $3 of what runs have added to a session, after a position; NULL is all.
SELECT position, task_id, create_time, message_count, messages FROM session_entry
WHERE session = $1 AND position > $2
ORDER BY position
LIMIT $3
