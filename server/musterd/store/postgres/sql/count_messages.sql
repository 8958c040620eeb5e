-- Count the messages of a team.
SELECT count(*) FROM team_message WHERE team = $1
