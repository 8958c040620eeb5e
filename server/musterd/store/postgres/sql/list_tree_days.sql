-- Tell on which days until $1 trees were made. Goes from day to day along the index, past all that each one has.
WITH RECURSIVE day AS (
    SELECT min(create_day) AS number FROM tree
    UNION ALL
    SELECT (SELECT min(create_day) FROM tree WHERE create_day > day.number) FROM day WHERE day.number <= $1
)
SELECT number FROM day WHERE number <= $1
