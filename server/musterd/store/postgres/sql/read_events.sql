-- Read a page of a tree's log, and where the log begins and ends: one row without an event when the page is empty.
WITH log AS MATERIALIZED (
    SELECT
        number, create_day, last_sequence,
        (SELECT min(sequence) FROM event WHERE tree = tree.number AND tree_day = tree.create_day) AS oldest_sequence
    FROM tree
    WHERE root_task_id = $1
)
SELECT log.last_sequence, log.oldest_sequence, page.*
FROM log
LEFT JOIN LATERAL (
    SELECT
        event.sequence, task.task_id, event.create_time, task.component_kind, task.component_id, event.kind,
        event.format, event.payload
    FROM event JOIN task ON task.number = event.task
    WHERE event.tree = log.number AND event.tree_day = log.create_day AND event.sequence > $2
    ORDER BY event.sequence
    LIMIT $3
) AS page ON true
ORDER BY page.sequence
