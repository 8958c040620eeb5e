-- Read the open approvals of a tree, oldest first.
SELECT body, state FROM approval WHERE root_task_id = $1 AND state = 'open' ORDER BY position
