-- Let at most $2 parked tasks be claimed whose time is over. Those that somebody has locked are passed over.
UPDATE task SET wake_time = NULL
WHERE number = ANY (ARRAY(
    SELECT number FROM task WHERE wake_time <= $1 ORDER BY wake_time LIMIT $2 FOR UPDATE SKIP LOCKED
))
