-- Note what became of an approval.
UPDATE approval SET state = $2, body = $3, decided_by = $4 WHERE approval_id = $1
