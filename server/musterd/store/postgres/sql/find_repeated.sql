-- Find the writes ($1 to $3) that were stored before.
SELECT one.position::int, task.state
FROM unnest($1::text[], $2::int[], $3::int[]) WITH ORDINALITY AS one (task_id, attempt, number, position)
JOIN task ON task.task_id = one.task_id
WHERE task.attempt = one.attempt AND task.last_write >= one.number
