-- Store items of a board, each in place of what was stored of it before.
INSERT INTO todo (team, tenant_id, todo_id, todo)
SELECT $1, $2, todo_id, todo FROM unnest($3::bytea[], $4::bytea[]) AS changed (todo_id, todo)
ON CONFLICT (team, todo_id) DO UPDATE SET todo = excluded.todo
