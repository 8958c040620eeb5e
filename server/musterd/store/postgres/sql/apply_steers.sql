-- Note that messages went into a request to the model.
UPDATE inbox SET state = 'applied' WHERE entry_id = ANY ($2::text[]) AND task_id = $1 AND state = 'pending'
