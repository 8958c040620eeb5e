-- Tell whether there are events of the trees of a day.
SELECT EXISTS (SELECT FROM event WHERE tree_day = $1)
