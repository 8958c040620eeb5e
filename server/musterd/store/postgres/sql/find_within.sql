-- Tell which of the tasks $2 are the task $1 or below it. The limit makes it look for one parent after the other.
WITH RECURSIVE above AS (
    SELECT leaf, leaf COLLATE "C" AS task_id FROM unnest($2::text[]) AS one (leaf)
    UNION ALL
    SELECT above.leaf, parent.task_id
    FROM above, LATERAL (SELECT parent_task_id AS task_id FROM task WHERE task.task_id = above.task_id LIMIT 1) AS parent
)
SELECT leaf FROM above WHERE task_id = $1
