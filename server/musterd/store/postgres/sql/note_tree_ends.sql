-- Note when trees ended. One that somebody has locked is noted the next time.
UPDATE tree SET end_time = ended.end_time
FROM unnest($1::text[], $2::bigint[]) AS ended (root_task_id, end_time)
WHERE tree.root_task_id = ended.root_task_id
  AND tree.root_task_id = ANY (ARRAY(
      SELECT root_task_id FROM tree WHERE root_task_id = ANY ($1::text[]) FOR UPDATE SKIP LOCKED
  ))
