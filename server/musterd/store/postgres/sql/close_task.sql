-- Refuse the messages that wait for a task that ends, close its open questions and approvals, and lock the session that it
-- has, which nobody has then: a message comes back with its id, an approval with its body, a session with its number.
WITH unanswered AS (
    UPDATE question SET state = 'expired' WHERE task_id = $1 AND state = 'open'
), refused AS (
    UPDATE inbox SET state = 'refused' WHERE task_id = $1 AND kind = 'steer' AND state = 'pending'
    RETURNING position, entry_id
), undecided AS (
    UPDATE approval SET state = 'expired' WHERE task_id = $1 AND state || '' = 'open'
    RETURNING position, body, state
), released AS (
    UPDATE session SET holder = NULL WHERE holder = $1 RETURNING number
)
SELECT position, entry_id, NULL::bytea AS body, NULL::text AS state, NULL::bigint AS session FROM refused
UNION ALL
SELECT position, NULL::text, body, state, NULL::bigint FROM undecided
UNION ALL
SELECT 0, NULL::text, NULL::bytea, NULL::text, number FROM released
