-- Give a run ($6) its session, unless another one has it, and lock it; the first run begins it. Tells which run has it.
INSERT INTO session (tenant_id, user_id, session_id, component_kind, component_id, holder, create_time, update_time)
VALUES ($1, $2, $3, $4, $5, $6, $7, $7)
ON CONFLICT (tenant_id, user_id, session_id, component_kind, component_id)
DO UPDATE SET holder = coalesce(session.holder, excluded.holder), update_time = excluded.update_time
RETURNING holder
