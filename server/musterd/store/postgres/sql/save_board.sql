-- Store whose board it is, in place of what was stored of that before.
INSERT INTO board (team, tenant_id, name, members) VALUES ($1, $2, $3, $4)
ON CONFLICT (team) DO UPDATE SET name = excluded.name, members = excluded.members
