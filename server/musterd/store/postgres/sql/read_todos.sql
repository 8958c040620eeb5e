-- Read the items of a board, in the order in which they were added.
SELECT todo FROM todo WHERE team = $1 ORDER BY position
