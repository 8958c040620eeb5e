-- Remove large parts that no task has. One that a new task takes up at this moment is waited for, and stays.
DELETE FROM blob WHERE ctid = ANY (ARRAY(SELECT ctid FROM blob WHERE uses = 0 LIMIT $1)) AND uses = 0
