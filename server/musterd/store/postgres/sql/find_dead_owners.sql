-- Tell who holds tasks and does not live. Goes from owner to owner along the index, past all that each one holds.
WITH RECURSIVE holder AS (
    SELECT min(owner) AS owner FROM task WHERE owner IS NOT NULL
    UNION ALL
    SELECT (SELECT min(task.owner) FROM task WHERE task.owner > holder.owner)
    FROM holder
    WHERE holder.owner IS NOT NULL
)
SELECT holder.owner
FROM holder
WHERE holder.owner <> $1
  AND NOT EXISTS (
      SELECT FROM replica
      WHERE replica.owner = holder.owner
        AND replica.expires_at > (extract(epoch FROM clock_timestamp()) * 1000000)::bigint
  )
