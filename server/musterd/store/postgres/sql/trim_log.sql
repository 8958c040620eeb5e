-- Remove the first $3 events of the log of a tree.
DELETE FROM event
WHERE tree = $1 AND tree_day = $2
  AND sequence < $3 + (SELECT min(sequence) FROM event WHERE tree = $1 AND tree_day = $2)
