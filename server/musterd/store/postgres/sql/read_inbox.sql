-- Read all that was ever put into a task's inbox.
SELECT kind, entry_id, task_id, body, user_id, state FROM inbox WHERE task_id = $1 ORDER BY position
