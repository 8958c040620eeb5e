-- Read tasks, whoever they belong to.
SELECT * FROM shown_task WHERE task_id = ANY ($1::text[])
