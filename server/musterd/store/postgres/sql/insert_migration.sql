-- Note a migration that the database has now.
INSERT INTO migration (number, name, sha256, needs, apply_time)
VALUES ($1, $2, $3, $4, (extract(epoch FROM clock_timestamp()) * 1000000)::bigint)
