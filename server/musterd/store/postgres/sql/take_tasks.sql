-- Give tasks to an owner, each as a new attempt. A task that is being canceled stays so.
UPDATE task
SET owner = $2,
    attempt = attempt + 1,
    last_write = 0,
    state = CASE WHEN state = 'canceling' THEN state ELSE 'working' END,
    start_time = coalesce(start_time, $3),
    update_time = $3
WHERE number = ANY ($1::bigint[])
