-- Read what the hooks of tasks are called with.
SELECT task, phase, payload FROM hook_payload WHERE task = ANY ($1::bigint[])
