-- Read what decides about writes of tasks, whose trees are locked; a claim may have them for a moment.
SELECT
    number, task_id, root_task_id, parent_task_id, component_kind, component_id, state, attempt, last_write, owner,
    is_waiting, usage
FROM task
WHERE task_id = ANY ($1::text[])
ORDER BY task_id
FOR UPDATE
