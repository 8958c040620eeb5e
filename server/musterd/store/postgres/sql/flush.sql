-- Store where a transaction leaves trees ($1 to $8) and tasks ($9 to $20), and the events that it appended ($21 to $27)
-- at a time ($28) in a format ($29). A task's column that is NULL stays, except for its owner.
WITH moved AS (
    UPDATE tree
    SET last_sequence = left_at.last_sequence,
        spent_requests = left_at.requests,
        spent_tool_calls = left_at.tool_calls,
        spent_input_tokens = left_at.input_tokens,
        spent_output_tokens = left_at.output_tokens,
        spent_cache_read_tokens = left_at.cache_read_tokens,
        spent_cache_write_tokens = left_at.cache_write_tokens
    FROM unnest(
        $1::bigint[], $2::int[], $3::bigint[], $4::bigint[], $5::bigint[], $6::bigint[], $7::bigint[], $8::bigint[]
    ) AS left_at (
        number, last_sequence, requests, tool_calls, input_tokens, output_tokens, cache_read_tokens, cache_write_tokens
    )
    WHERE tree.number = left_at.number
), changed AS (
    UPDATE task
    SET state = left_at.state,
        attempt = left_at.attempt,
        last_write = left_at.last_write,
        owner = left_at.owner,
        is_waiting = left_at.is_waiting,
        usage = coalesce(left_at.usage, task.usage),
        output = coalesce(left_at.output, task.output),
        error = coalesce(left_at.error, task.error),
        update_time = coalesce(left_at.update_time, task.update_time),
        start_time = coalesce(task.start_time, left_at.start_time),
        end_time = coalesce(left_at.end_time, task.end_time)
    FROM unnest(
        $9::bigint[], $10::text[], $11::int[], $12::int[], $13::text[], $14::boolean[], $15::bytea[], $16::bytea[],
        $17::bytea[], $18::bigint[], $19::bigint[], $20::bigint[]
    ) AS left_at (
        number, state, attempt, last_write, owner, is_waiting, usage, output, error, update_time, start_time, end_time
    )
    WHERE task.number = left_at.number
)
INSERT INTO event (tree, task, create_time, sequence, tree_day, format, tenant_id, kind, payload)
SELECT tree, task, $28, sequence, tree_day, $29, tenant_id, kind, payload
FROM unnest($21::bigint[], $22::bigint[], $23::int[], $24::int[], $25::text[], $26::text[], $27::bytea[])
    AS said (tree, task, sequence, tree_day, tenant_id, kind, payload)
