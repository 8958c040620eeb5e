-- Tell the other processes on a channel. Each payload is a notification of its own.
SELECT pg_notify($1, payload) FROM unnest($2::text[]) AS payload
