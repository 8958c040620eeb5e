-- Read a message that a task got.
SELECT kind, entry_id, task_id, body, user_id, state FROM inbox WHERE entry_id = $1 AND task_id IS NOT NULL
