-- Tell whether there is a task that nobody holds, or one of the dead owners $1.
SELECT EXISTS (SELECT FROM task WHERE owner IS NULL AND end_time IS NULL AND state <> 'auth_required')
    OR EXISTS (SELECT FROM task WHERE owner = ANY ($1::text[]))
