-- Let a task be claimed now, if it is parked.
UPDATE task SET wake_time = NULL WHERE number = $1
