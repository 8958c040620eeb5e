-- Append events that change nothing else of their tasks: $1 to $4 are the writes, of one task each, $5 to $8 their events,
-- $9 their format and $10 the time, NULL for the database's own. A write takes effect while its attempt holds the task
-- and its number is new; it has the place `before` in the log then.
WITH wanted AS MATERIALIZED (
    SELECT
        one.position, one.attempt, one.number, one.size, task.number AS task, task.component_kind, task.component_id,
        task.state, task.attempt = one.attempt AND one.number <= task.last_write AS is_repeated, tree.root_task_id,
        tree.number AS tree, tree.tenant_id, tree.create_day, tree.last_sequence
    FROM unnest($1::text[], $2::int[], $3::int[], $4::int[])
        WITH ORDINALITY AS one (task_id, attempt, number, size, position)
    JOIN task ON task.task_id = one.task_id
    JOIN tree ON tree.root_task_id = task.root_task_id
    ORDER BY tree.root_task_id, one.position
    FOR UPDATE OF tree
), numbered AS (
    -- The tree is locked by now, and this sees the task as it is: not as it was when the tree had to be waited for.
    UPDATE task
    SET last_write = wanted.number
    FROM wanted
    WHERE task.number = wanted.task AND task.attempt = wanted.attempt AND task.last_write < wanted.number
      AND task.owner IS NOT NULL AND task.end_time IS NULL
    RETURNING wanted.position, wanted.size, wanted.tree, wanted.last_sequence, wanted.tenant_id, wanted.create_day,
        task.number AS task, task.state
), held AS MATERIALIZED (
    SELECT
        *,
        (last_sequence + sum(size) OVER (PARTITION BY tree ORDER BY position) - size)::int AS before,
        coalesce($10::bigint, (extract(epoch FROM clock_timestamp()) * 1000000)::bigint) AS create_time
    FROM numbered
), moved AS (
    UPDATE tree
    SET last_sequence = grown.last_sequence
    FROM (SELECT tree, max(before + size) AS last_sequence FROM held GROUP BY tree) AS grown
    WHERE tree.number = grown.tree
), added AS (
    INSERT INTO event (tree, task, create_time, sequence, tree_day, format, tenant_id, kind, payload)
    SELECT
        held.tree, held.task, held.create_time, held.before + said.place, held.create_day, $9, held.tenant_id,
        said.kind, said.payload
    FROM unnest($5::int[], $6::int[], $7::text[], $8::bytea[]) AS said (write, place, kind, payload)
    JOIN held ON held.position = said.write
)
SELECT
    wanted.position::int, wanted.root_task_id, wanted.component_kind, wanted.component_id,
    coalesce(held.state, wanted.state) AS state, wanted.is_repeated, held.before, held.create_time
FROM wanted LEFT JOIN held USING (position)
