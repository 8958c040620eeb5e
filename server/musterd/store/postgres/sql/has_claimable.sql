-- Tell whether there is a task that nobody holds, or one of the dead owners $1, or one that is parked no longer than until
-- $2, NULL for the database's own time.
SELECT
    EXISTS (SELECT FROM task WHERE owner IS NULL AND end_time IS NULL AND state <> 'auth_required' AND wake_time IS NULL)
    OR EXISTS (
        SELECT FROM task
        WHERE wake_time <= (SELECT coalesce($2::bigint, (extract(epoch FROM clock_timestamp()) * 1000000)::bigint))
    )
    OR EXISTS (SELECT FROM task WHERE owner = ANY ($1::text[]))
