-- Tell whether any of the approvals and tasks $1 is not waited for any more.
SELECT
    EXISTS (SELECT FROM task WHERE task_id = ANY ($1::text[]) AND end_time IS NOT NULL)
    OR EXISTS (SELECT FROM approval WHERE approval_id = ANY ($1::text[]) AND state || '' <> 'open')
