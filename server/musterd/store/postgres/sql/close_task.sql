-- Refuse the messages that wait for a task that ends, and close its open questions.
WITH expired AS (
    UPDATE question SET state = 'expired' WHERE task_id = $1 AND state = 'open'
)
UPDATE inbox SET state = 'refused' WHERE task_id = $1 AND kind = 'steer' AND state = 'pending'
RETURNING position, entry_id
