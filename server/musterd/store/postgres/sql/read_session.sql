-- Read a session.
SELECT * FROM session
WHERE tenant_id = $1 AND user_id = $2 AND session_id = $3 AND component_kind = $4 AND component_id = $5
