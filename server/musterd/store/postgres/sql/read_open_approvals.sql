-- Read the open approvals of a task, oldest first. The empty text keeps the planner from looking at all that are open
-- anywhere.
SELECT body, state FROM approval WHERE task_id = $1 AND state || '' = 'open' ORDER BY position
