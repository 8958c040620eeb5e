-- Count the tasks that wait in the queue.
SELECT count(*) FROM task WHERE state = 'submitted'
