-- Tell which tasks below a task have not ended.
WITH RECURSIVE below AS (
    SELECT task_id, end_time FROM task WHERE parent_task_id = $1
    UNION ALL
    SELECT child.task_id, child.end_time FROM below JOIN task AS child ON child.parent_task_id = below.task_id
)
SELECT task_id FROM below WHERE end_time IS NULL
