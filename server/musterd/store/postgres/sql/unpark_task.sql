-- Note how long a task was parked, and that it was, if so.
UPDATE task
SET parked_micros = parked_micros + $2 - park_time, parked_count = parked_count + 1, park_time = NULL, wake_time = NULL
WHERE task_id = $1 AND park_time IS NOT NULL
