-- Store requests to the model, each in place of what was stored of it before.
INSERT INTO model_step (task, step, tenant_id, format, response_json, extra_usage_json, steer_ids, known_tools)
SELECT task, step, tenant_id, $8, response_json, extra_usage_json, steer_ids, known_tools
FROM unnest($1::bigint[], $2::int[], $3::text[], $4::bytea[], $5::bytea[], $6::bytea[], $7::bytea[])
    AS done (task, step, tenant_id, response_json, extra_usage_json, steer_ids, known_tools)
ON CONFLICT (task, step) DO UPDATE
SET format = excluded.format,
    response_json = excluded.response_json,
    extra_usage_json = excluded.extra_usage_json,
    steer_ids = excluded.steer_ids,
    known_tools = excluded.known_tools
