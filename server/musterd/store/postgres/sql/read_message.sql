-- Read a message of a team.
SELECT message FROM team_message WHERE team = $1 AND message_id = $2
