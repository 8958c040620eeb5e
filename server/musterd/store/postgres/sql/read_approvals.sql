-- Read approvals.
SELECT body, state FROM approval WHERE approval_id = ANY ($1::text[])
