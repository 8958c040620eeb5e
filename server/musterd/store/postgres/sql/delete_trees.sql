-- Remove trees.
DELETE FROM tree WHERE number = ANY ($1::bigint[])
