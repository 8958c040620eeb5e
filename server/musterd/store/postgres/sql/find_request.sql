-- Tell what an earlier call with a request id led to.
SELECT body_sha256, task_id, steer_id, was_canceled_before
FROM request
WHERE tenant_id = $1 AND user_id = $2 AND method = $3 AND request_id = $4
