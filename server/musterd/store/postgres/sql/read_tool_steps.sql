-- Read a task's tool calls.
SELECT step, format, tool_call_id, tool_name, status, repeatable, outcome_json, enqueued_json
FROM tool_step
WHERE task = (SELECT number FROM task WHERE task_id = $1)
ORDER BY step, position
