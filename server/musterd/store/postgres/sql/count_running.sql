-- Count the tasks that run, in tenants ($1), users ($2 and, in those tenants, $3) and trees ($4): those of living owners
-- and of $5, without those of $6, that wait neither for others nor for input.
WITH living AS MATERIALIZED (
    SELECT owner
    FROM replica
    WHERE expires_at > (extract(epoch FROM clock_timestamp()) * 1000000)::bigint AND owner IS DISTINCT FROM $6::text
    UNION
    SELECT $5::text WHERE $5 IS NOT NULL
)
SELECT
    ARRAY (
        SELECT (
            SELECT count(*) FROM task
            WHERE task.tenant_id = one.tenant_id AND task.owner IN (SELECT owner FROM living)
              AND task.owner IS NOT NULL AND NOT task.is_waiting AND task.state <> 'input_required'
        )
        FROM unnest($1::text[]) WITH ORDINALITY AS one (tenant_id, position)
        ORDER BY position
    ) AS tenant,
    ARRAY (
        SELECT (
            SELECT count(*) FROM task
            WHERE task.tenant_id = one.tenant_id AND task.user_id = one.user_id
              AND task.owner IN (SELECT owner FROM living)
              AND task.owner IS NOT NULL AND NOT task.is_waiting AND task.state <> 'input_required'
        )
        FROM unnest($2::text[], $3::text[]) WITH ORDINALITY AS one (tenant_id, user_id, position)
        ORDER BY position
    ) AS "user",
    ARRAY (
        SELECT (
            SELECT count(*) FROM task
            WHERE task.root_task_id = one.root_task_id AND task.owner IN (SELECT owner FROM living)
              AND task.owner IS NOT NULL AND NOT task.is_waiting AND task.state <> 'input_required'
        )
        FROM unnest($4::text[]) WITH ORDINALITY AS one (root_task_id, position)
        ORDER BY position
    ) AS tree
