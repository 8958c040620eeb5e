-- Read those of the tasks that a viewer may look at: as read_visible_tasks, and for the approver $4 those of trees in
-- which an approval is open or was decided by it. They are found first, and each one's approvals after it: the limits
-- keep the planner from looking for such trees.
SELECT * FROM shown_task WHERE task_id = ANY (ARRAY(
    SELECT task_id FROM task
    WHERE task_id = ANY ($1::text[]) AND tenant_id || '' = $2
      AND (
          $3::text IS NULL OR user_id || '' = $3
          OR $4::text IS NOT NULL AND (
              (
                  SELECT true FROM approval
                  WHERE approval.root_task_id = task.root_task_id AND approval.state = 'open'
                  LIMIT 1
              )
              OR (
                  SELECT true FROM approval
                  WHERE approval.root_task_id = task.root_task_id AND approval.decided_by = $4
                  LIMIT 1
              )
          )
      )
))
