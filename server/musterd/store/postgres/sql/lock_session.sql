-- Find a session, which no run can take from now on, nor one that has it end.
SELECT number FROM session
WHERE tenant_id = $1 AND user_id = $2 AND session_id = $3 AND component_kind = $4 AND component_id = $5
FOR UPDATE
