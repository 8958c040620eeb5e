-- Store an open question.
INSERT INTO question (tenant_id, question_id, task_id, state, body, create_time, expire_time)
VALUES ($1, $2, $3, 'open', $4, $5, $6)
