-- Store what a call with a request id led to.
INSERT INTO request
    (tenant_id, user_id, method, request_id, body_sha256, task_id, steer_id, was_canceled_before, create_time)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
