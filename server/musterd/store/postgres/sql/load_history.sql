-- Read all that runs have added to a session.
SELECT position, task_id, entry.create_time, entry.message_count, messages
FROM session JOIN session_entry AS entry ON entry.session = session.number
WHERE session.tenant_id = $1 AND user_id = $2 AND session_id = $3 AND component_kind = $4 AND component_id = $5
ORDER BY position
