-- Read where the logs of trees end.
SELECT root_task_id, last_sequence FROM tree WHERE root_task_id = ANY ($1::text[])
