-- Tell whether a tree, made on a day, has events: they are removed some time after its end.
SELECT EXISTS (SELECT FROM event WHERE tree = $1 AND tree_day = $2)
