-- Find trees of a day that ended no later than at a time, after the tree with the end $3 and the number $4.
SELECT number, root_task_id, end_time FROM tree
WHERE create_day = $1 AND end_time <= $2 AND (end_time, number) > ($3, $4)
ORDER BY create_day, end_time, number
LIMIT $5
