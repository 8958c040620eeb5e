-- Tell whether there is a schema: to make one that there is already takes a right that its users need not have.
SELECT EXISTS (SELECT FROM pg_namespace WHERE nspname = $1)
