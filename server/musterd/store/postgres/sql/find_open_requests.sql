-- Tell whether a question and an approval of a task are open. The empty text keeps the planner from looking at all
-- approvals that are open anywhere.
SELECT
    EXISTS (SELECT FROM question WHERE task_id = $1 AND state = 'open') AS has_question,
    EXISTS (SELECT FROM approval WHERE task_id = $1 AND state || '' = 'open') AS has_approval
