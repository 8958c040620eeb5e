-- Tell when the next hook that waits may begin.
SELECT min(next_attempt_time) FROM hook_run WHERE state = 'pending'
