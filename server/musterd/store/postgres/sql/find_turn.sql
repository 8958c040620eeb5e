-- Tell the oldest task of a member that can still read messages: one that is being canceled reads nothing any more.
SELECT task_id FROM task
WHERE parent_task_id = $1 AND component_id = $2 AND component_kind IN ('member', 'team')
  AND end_time IS NULL AND state <> 'canceling'
ORDER BY create_time, task_id
LIMIT 1
