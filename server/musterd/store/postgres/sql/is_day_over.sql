-- Tell whether all trees of a day ended no later than at a time.
SELECT NOT EXISTS (SELECT FROM tree WHERE create_day = $1 AND end_time IS NULL)
   AND NOT EXISTS (SELECT FROM tree WHERE create_day = $1 AND end_time > $2)
