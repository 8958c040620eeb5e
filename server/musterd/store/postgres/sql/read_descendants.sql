-- Read all tasks below a task.
WITH RECURSIVE below AS (
    SELECT task_id FROM task WHERE parent_task_id = $1
    UNION ALL
    SELECT child.task_id FROM below JOIN task AS child ON child.parent_task_id = below.task_id
)
SELECT * FROM shown_task WHERE task_id = ANY (ARRAY(SELECT task_id FROM below))
