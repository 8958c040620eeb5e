-- Tell the trees of tasks.
SELECT task_id, root_task_id FROM task WHERE task_id = ANY ($1::text[])
