-- Find trees of a day whose end is not noted, after the tree with the number $2.
SELECT number, root_task_id FROM tree
WHERE create_day = $1 AND end_time IS NULL AND number > $2
ORDER BY create_day, end_time, number
LIMIT $3
