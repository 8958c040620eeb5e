-- Append events that change nothing else of their tasks: $1 to $5 are the writes, of one task each, $6 and $7 their
-- events one after the other, $8 their format and $9 the time, NULL for the database's own. A write takes effect while
-- its attempt holds the task and its number is new: such a one is returned, with what is `before` it in the log.
WITH wanted AS MATERIALIZED (
    SELECT
        one.position, one.attempt, one.number, one.first, one.size, task.number AS task, tree.root_task_id,
        tree.number AS tree, tree.tenant_id, tree.create_day, tree.last_sequence
    FROM unnest($1::text[], $2::int[], $3::int[], $4::int[], $5::int[])
        WITH ORDINALITY AS one (task_id, attempt, number, first, size, position)
    JOIN task ON task.task_id = one.task_id
    JOIN tree ON tree.root_task_id = task.root_task_id
    ORDER BY tree.root_task_id, one.position
    FOR UPDATE OF tree
), numbered AS (
    -- The tree is locked by now, and this sees the task as it is: not as it was when the tree had to be waited for. The
    -- owner is asked for so that no index of all owned tasks seems to help.
    UPDATE task
    SET last_write = wanted.number
    FROM wanted
    WHERE task.number = wanted.task AND task.attempt = wanted.attempt AND task.last_write < wanted.number
      AND coalesce(task.owner, '') <> '' AND task.end_time IS NULL
    RETURNING wanted.position, wanted.first, wanted.size, wanted.root_task_id, wanted.tree, wanted.last_sequence,
        wanted.tenant_id, wanted.create_day, task.number AS task, task.state, task.component_kind, task.component_id
), held AS MATERIALIZED (
    SELECT
        *,
        (last_sequence + sum(size) OVER (PARTITION BY tree ORDER BY position) - size)::int AS before,
        (SELECT coalesce($9::bigint, (extract(epoch FROM clock_timestamp()) * 1000000)::bigint)) AS create_time
    FROM numbered
), moved AS (
    UPDATE tree
    SET last_sequence = grown.last_sequence
    FROM (SELECT tree, max(before + size) AS last_sequence FROM held GROUP BY tree) AS grown
    WHERE tree.number = grown.tree
), added AS (
    INSERT INTO event (tree, task, create_time, sequence, tree_day, format, tenant_id, kind, payload)
    SELECT
        held.tree, held.task, held.create_time, held.before + said.place::int - held.first, held.create_day, $8,
        held.tenant_id, said.kind, said.payload
    FROM unnest($6::text[], $7::bytea[]) WITH ORDINALITY AS said (kind, payload, place)
    JOIN held ON held.position = width_bucket(said.place::int - 1, $4::int[])
)
SELECT position::int, root_task_id, component_kind, component_id, state, before, create_time FROM held
