-- Store a message of a team.
INSERT INTO team_message (team, tenant_id, message_id, message) VALUES ($1, $2, $3, $4)
