-- Remove a session with what runs have added to it.
WITH gone AS (
    DELETE FROM session_entry WHERE session = $1
)
DELETE FROM session WHERE number = $1
