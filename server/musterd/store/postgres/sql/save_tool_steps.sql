-- Store tool calls, each in place of what was stored of it before, and as the latest.
INSERT INTO tool_step (
    task, step, tool_call_id, tenant_id, format, tool_name, status, repeatable, outcome_json, enqueued_json
)
SELECT task, step, tool_call_id, tenant_id, $10, tool_name, status, repeatable, outcome_json, enqueued_json
FROM unnest(
    $1::bigint[], $2::int[], $3::bytea[], $4::text[], $5::bytea[], $6::text[], $7::boolean[], $8::bytea[], $9::bytea[]
) AS done (task, step, tool_call_id, tenant_id, tool_name, status, repeatable, outcome_json, enqueued_json)
ON CONFLICT (task, step, tool_call_id) DO UPDATE
SET position = excluded.position,
    format = excluded.format,
    tool_name = excluded.tool_name,
    status = excluded.status,
    repeatable = excluded.repeatable,
    outcome_json = excluded.outcome_json,
    enqueued_json = excluded.enqueued_json
