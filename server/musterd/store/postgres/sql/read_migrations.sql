-- Tell which migrations the database has had.
SELECT number, name, sha256, needs FROM migration
