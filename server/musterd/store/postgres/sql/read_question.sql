-- Read a question.
SELECT question_id, task_id, body, create_time, expire_time, state, answer FROM question WHERE question_id = $1
