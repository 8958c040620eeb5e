-- Store an order to cancel, in place of an earlier one.
INSERT INTO inbox (tenant_id, task_id, kind, state, user_id, body, create_time)
VALUES ($1, $2, 'cancel', 'pending', $3, $4, $5)
ON CONFLICT (task_id) WHERE kind = 'cancel'
DO UPDATE SET user_id = excluded.user_id, body = excluded.body, create_time = excluded.create_time
