-- Give a task the messages that its member has not read.
UPDATE inbox SET task_id = $3, state = 'pending'
WHERE team = $1 AND member = $2 AND member IS NOT NULL AND state IN ('waiting', 'refused')
RETURNING position, entry_id, body
