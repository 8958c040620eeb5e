-- Put a message into an inbox.
INSERT INTO inbox (tenant_id, entry_id, task_id, kind, state, user_id, body, create_time, team, member)
VALUES ($1, $2, $3, 'steer', $4, $5, $6, $7, $8, $9)
