-- Read the messages of a team, in the order of their sending.
SELECT message FROM team_message WHERE team = $1 ORDER BY position
