-- Read a task's requests to the model.
SELECT step, format, response_json, extra_usage_json, steer_ids, known_tools
FROM model_step
WHERE task = (SELECT number FROM task WHERE task_id = $1)
ORDER BY step
