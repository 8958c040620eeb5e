-- Lock trees in the order of their ids; the last row tells when all of them were held. One row when there are none.
SELECT
    (extract(epoch FROM clock_timestamp()) * 1000000)::bigint AS now_micros,
    pg_current_xact_id()::text AS transaction_id,
    tree.*
FROM (VALUES (1)) AS always (one)
LEFT JOIN (
    SELECT
        number, root_task_id, tenant_id, create_day, last_sequence, limits, spent_requests, spent_tool_calls,
        spent_input_tokens, spent_output_tokens, spent_cache_read_tokens, spent_cache_write_tokens
    FROM tree
    WHERE root_task_id = ANY ($1::text[])
    ORDER BY root_task_id
    FOR UPDATE
) AS tree ON true
