-- Take items off a board.
DELETE FROM todo WHERE team = $1 AND todo_id = ANY ($2::bytea[])
