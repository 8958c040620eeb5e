-- Read the open questions of a task, oldest first.
SELECT question_id, task_id, body, create_time, expire_time, state, answer
FROM question
WHERE task_id = $1 AND state = 'open'
ORDER BY position
