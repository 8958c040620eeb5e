-- Note what became of a question.
UPDATE question SET state = $2, answer = $3, user_id = $4 WHERE question_id = $1
