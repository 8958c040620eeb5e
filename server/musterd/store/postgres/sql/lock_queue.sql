-- Let one transaction at a time count the queue and add to it.
SELECT pg_advisory_xact_lock(hashtext('musterd queue'), hashtext(current_schema()))
