-- Let an owner be dead, so that others may take what it still holds.
DELETE FROM replica WHERE owner = $1
