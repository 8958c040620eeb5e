-- Give tasks to an owner, each as a new attempt. A task that is being canceled stays so.
UPDATE task
SET owner = $2,
    attempt = attempt + 1,
    last_write = 0,
    is_waiting = false,
    parked_micros = parked_micros + coalesce($3 - park_time, 0),
    parked_count = parked_count + CASE WHEN park_time IS NULL THEN 0 ELSE 1 END,
    park_time = NULL,
    wake_time = NULL,
    state = CASE WHEN state = 'canceling' THEN state ELSE 'working' END,
    start_time = coalesce(start_time, $3),
    update_time = $3
WHERE number = ANY ($1::bigint[])
