-- Remove the log of a tree.
DELETE FROM event WHERE tree = $1 AND tree_day = $2
