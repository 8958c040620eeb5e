-- expands
-- Times are microseconds since 1970 in UTC. Text that may be absent is NULL, never empty. What users and models say is
-- JSON in bytes: text cannot hold every character of it. Ids sort by their bytes, as everywhere else.
-- Every row names its tenant. Numbers and ids are unique among all tenants.

CREATE TABLE tree (
    number BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    tenant_id TEXT NOT NULL,
    root_task_id TEXT COLLATE "C" NOT NULL UNIQUE,
    last_sequence INTEGER NOT NULL,
    create_day INTEGER NOT NULL, -- days since 1970: the partition of its events
    end_time BIGINT, -- of its last task, noted some time later: only what removes old trees looks at it
    limits BYTEA NOT NULL,
    -- The sum of what the usage of its tasks says.
    spent_requests BIGINT NOT NULL DEFAULT 0,
    spent_tool_calls BIGINT NOT NULL DEFAULT 0,
    spent_input_tokens BIGINT NOT NULL DEFAULT 0,
    spent_output_tokens BIGINT NOT NULL DEFAULT 0,
    spent_cache_read_tokens BIGINT NOT NULL DEFAULT 0,
    spent_cache_write_tokens BIGINT NOT NULL DEFAULT 0
-- Rows change with every commit: room in their page keeps the indexes out of that.
) WITH (fillfactor = 50);

CREATE INDEX tree_by_day ON tree (create_day, end_time, number);

CREATE TABLE task (
    number BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    tenant_id TEXT NOT NULL,
    task_id TEXT COLLATE "C" NOT NULL UNIQUE,
    root_task_id TEXT COLLATE "C" NOT NULL,
    parent_task_id TEXT COLLATE "C",
    user_id TEXT NOT NULL,
    session_id TEXT,
    component_kind TEXT NOT NULL,
    component_id TEXT NOT NULL,
    state TEXT NOT NULL,
    priority INTEGER NOT NULL,
    queue_key BIGINT NOT NULL, -- the create_time, earlier by a step for each step of the priority
    attempt INTEGER NOT NULL,
    last_write INTEGER NOT NULL DEFAULT 0, -- the number of the attempt's last write
    owner TEXT COLLATE "C",
    is_waiting BOOLEAN NOT NULL DEFAULT false, -- for its children or an answer, and holds no slot meanwhile
    create_time BIGINT NOT NULL,
    start_time BIGINT,
    update_time BIGINT NOT NULL,
    end_time BIGINT,
    usage BYTEA,
    output BYTEA,
    error BYTEA,
    labels BYTEA,
    request_id TEXT,
    description BYTEA,
    outlives_parent BOOLEAN NOT NULL,
    park_time BIGINT, -- since when it waits for approvals without an owner
    -- When it may be claimed, of one that waits so, or of a run whose session another one has: that is never, 2^62, until
    -- that one ends. NULL is at once.
    wake_time BIGINT,
    parked_micros BIGINT NOT NULL DEFAULT 0, -- how long it waited so before
    parked_count INTEGER NOT NULL DEFAULT 0 -- how often
) WITH (fillfactor = 70);

-- Lists are newest first by (create_time, task_id), for a user or, for administrators, for a tenant.
CREATE INDEX task_by_user ON task (tenant_id, user_id, create_time, task_id);
CREATE INDEX task_by_user_state ON task (tenant_id, user_id, state, create_time, task_id);
CREATE INDEX task_by_user_component
    ON task (tenant_id, user_id, component_kind, component_id, create_time, task_id);
CREATE INDEX task_by_tenant ON task (tenant_id, create_time, task_id);
CREATE INDEX task_by_state ON task (tenant_id, state, create_time, task_id);
CREATE INDEX task_by_component ON task (tenant_id, component_kind, component_id, create_time, task_id);
CREATE INDEX task_by_session ON task (tenant_id, session_id, create_time, task_id) WHERE session_id IS NOT NULL;
CREATE INDEX task_by_root ON task (root_task_id, create_time, task_id);
CREATE INDEX task_by_parent ON task (parent_task_id, create_time, task_id) WHERE parent_task_id IS NOT NULL;

-- What may be claimed: what nobody holds, in the order of the queue, and what each owner holds.
CREATE INDEX task_unowned ON task (queue_key, task_id)
    WHERE owner IS NULL AND end_time IS NULL AND state <> 'auth_required' AND wake_time IS NULL;
CREATE INDEX task_parked ON task (wake_time) WHERE wake_time IS NOT NULL;
CREATE INDEX task_owned ON task (owner, queue_key, task_id) WHERE owner IS NOT NULL;
CREATE INDEX task_queued ON task (number) WHERE state = 'submitted';
CREATE INDEX task_blocked ON task (tenant_id, user_id, session_id, component_kind, component_id, create_time, task_id)
    WHERE wake_time = 4611686018427387904 AND end_time IS NULL;

-- What holds a slot somewhere, by the groups that have caps.
CREATE INDEX task_running_of_user ON task (tenant_id, user_id, owner)
    WHERE owner IS NOT NULL AND NOT is_waiting AND state <> 'input_required';
CREATE INDEX task_running_of_tree ON task (root_task_id, owner)
    WHERE owner IS NOT NULL AND NOT is_waiting AND state <> 'input_required';

-- Apart from task, so that a change of state does not write the input again.
CREATE TABLE task_spec (
    task BIGINT PRIMARY KEY,
    tenant_id TEXT NOT NULL,
    format INTEGER NOT NULL,
    spec BYTEA NOT NULL,
    blobs BYTEA
);

CREATE TABLE blob (
    tenant_id TEXT NOT NULL,
    sha256 BYTEA NOT NULL,
    data BYTEA NOT NULL,
    uses INTEGER NOT NULL DEFAULT 1, -- parts of tasks that have it
    PRIMARY KEY (tenant_id, sha256)
);

CREATE INDEX blob_unused ON blob (tenant_id) WHERE uses = 0;

-- Numbers of the tree and the task instead of their ids: this is most of the database, and half as large so. All events
-- of a tree are in the partition of the tree's day.
CREATE TABLE event (
    tree BIGINT NOT NULL,
    task BIGINT NOT NULL,
    create_time BIGINT NOT NULL,
    sequence INTEGER NOT NULL,
    tree_day INTEGER NOT NULL,
    format INTEGER NOT NULL,
    tenant_id TEXT NOT NULL,
    kind TEXT NOT NULL,
    payload BYTEA NOT NULL,
    PRIMARY KEY (tree, sequence, tree_day)
) PARTITION BY RANGE (tree_day);

-- For days that have no partition of their own, so that nothing is refused.
CREATE TABLE event_default PARTITION OF event DEFAULT;

CREATE TABLE model_step (
    task BIGINT NOT NULL,
    step INTEGER NOT NULL,
    tenant_id TEXT NOT NULL,
    format INTEGER NOT NULL,
    response_json BYTEA NOT NULL,
    extra_usage_json BYTEA NOT NULL,
    steer_ids BYTEA NOT NULL,
    known_tools BYTEA NOT NULL,
    PRIMARY KEY (task, step)
);

CREATE TABLE tool_step (
    task BIGINT NOT NULL,
    step INTEGER NOT NULL,
    tool_call_id BYTEA NOT NULL,
    position BIGINT GENERATED BY DEFAULT AS IDENTITY,
    tenant_id TEXT NOT NULL,
    format INTEGER NOT NULL,
    tool_name BYTEA NOT NULL,
    status TEXT NOT NULL,
    repeatable BOOLEAN NOT NULL,
    outcome_json BYTEA NOT NULL,
    enqueued_json BYTEA NOT NULL,
    PRIMARY KEY (task, step, tool_call_id)
);

-- What waits for a task's runner, in the order in which it came: steering messages, and one cancel order. A message of a
-- team has its member and the number of the team's task; it waits without a task while the member has none.
CREATE TABLE inbox (
    position BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    tenant_id TEXT NOT NULL,
    entry_id TEXT COLLATE "C" UNIQUE,
    task_id TEXT COLLATE "C",
    kind TEXT NOT NULL,
    state TEXT NOT NULL,
    user_id TEXT,
    body BYTEA NOT NULL,
    create_time BIGINT NOT NULL,
    team BIGINT,
    member TEXT
);

CREATE INDEX inbox_by_task ON inbox (task_id, kind, position);
CREATE UNIQUE INDEX inbox_cancel ON inbox (task_id) WHERE kind = 'cancel';
CREATE INDEX inbox_for_member ON inbox (team, member) WHERE member IS NOT NULL AND state IN ('waiting', 'refused');

CREATE TABLE question (
    position BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    tenant_id TEXT NOT NULL,
    question_id TEXT COLLATE "C" NOT NULL UNIQUE,
    task_id TEXT COLLATE "C" NOT NULL,
    state TEXT NOT NULL,
    body BYTEA NOT NULL,
    answer BYTEA,
    user_id TEXT,
    create_time BIGINT NOT NULL,
    expire_time BIGINT NOT NULL
);

CREATE INDEX question_by_task ON question (task_id, position);

-- Its body is all that is known of it but the state.
CREATE TABLE approval (
    position BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    tenant_id TEXT NOT NULL,
    approval_id TEXT COLLATE "C" NOT NULL UNIQUE,
    task_id TEXT COLLATE "C" NOT NULL,
    root_task_id TEXT COLLATE "C" NOT NULL,
    root_create_time BIGINT NOT NULL,
    state TEXT NOT NULL,
    body BYTEA NOT NULL,
    decided_by TEXT,
    expire_time BIGINT NOT NULL
);

CREATE INDEX approval_by_task ON approval (task_id, position);
CREATE INDEX approval_open_in_tree ON approval (root_task_id, position) WHERE state = 'open';
CREATE INDEX approval_decided_in_tree ON approval (root_task_id, decided_by) WHERE decided_by IS NOT NULL;
-- The second condition is always true: it keeps the planner from taking this one, which looks small, for the others.
CREATE INDEX approval_open_in_tenant ON approval (tenant_id, root_create_time, root_task_id)
    WHERE state = 'open' AND root_create_time >= 0;

-- The number of a team's task stands for the team.
CREATE TABLE board (
    team BIGINT PRIMARY KEY,
    tenant_id TEXT NOT NULL,
    name BYTEA NOT NULL,
    members BYTEA NOT NULL
);

CREATE TABLE todo (
    position BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    tenant_id TEXT NOT NULL,
    team BIGINT NOT NULL,
    todo_id BYTEA NOT NULL,
    todo BYTEA NOT NULL,
    UNIQUE (team, todo_id)
);

CREATE TABLE team_message (
    position BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    tenant_id TEXT NOT NULL,
    team BIGINT NOT NULL,
    message_id BYTEA NOT NULL,
    message BYTEA NOT NULL,
    UNIQUE (team, message_id)
);

-- Hooks that run after the end of their task. Its tenant and user are those of the task.
CREATE TABLE hook_run (
    number BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    tenant_id TEXT NOT NULL,
    user_id TEXT NOT NULL,
    hook_run_id TEXT COLLATE "C" NOT NULL UNIQUE,
    task_id TEXT COLLATE "C" NOT NULL,
    phase TEXT NOT NULL,
    position INTEGER NOT NULL, -- among the hooks of the phase
    name BYTEA NOT NULL,
    state TEXT NOT NULL,
    attempts INTEGER NOT NULL,
    owner TEXT COLLATE "C", -- who runs it
    error BYTEA,
    create_time BIGINT NOT NULL,
    update_time BIGINT NOT NULL,
    next_attempt_time BIGINT
);

CREATE INDEX hook_run_pending ON hook_run (next_attempt_time, number) WHERE state = 'pending';
CREATE INDEX hook_run_running ON hook_run (number) WHERE state = 'running';

-- Lists are newest first by (create_time, hook_run_id). Most have completed: to look for others must not pass those.
CREATE INDEX hook_run_by_user ON hook_run (tenant_id, user_id, create_time, hook_run_id);
CREATE INDEX hook_run_by_user_state ON hook_run (tenant_id, user_id, state, create_time, hook_run_id)
    WHERE state <> 'completed';
-- What is for a whole tenant has a name of its own for it, so that no list of one user is ever looked for there.
CREATE INDEX hook_run_by_tenant ON hook_run ((tenant_id || '/'), create_time, hook_run_id);
CREATE INDEX hook_run_by_state ON hook_run ((tenant_id || '/'), state, create_time, hook_run_id)
    WHERE state <> 'completed';
CREATE INDEX hook_run_by_task ON hook_run (task_id, create_time, hook_run_id);

-- What the hooks of one task and phase are called with.
CREATE TABLE hook_payload (
    tenant_id TEXT NOT NULL,
    task BIGINT NOT NULL,
    phase TEXT NOT NULL,
    payload BYTEA NOT NULL,
    PRIMARY KEY (task, phase)
);

-- What the runs of one component make up together. They outlive their tasks.
CREATE TABLE session (
    number BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    tenant_id TEXT NOT NULL,
    user_id TEXT NOT NULL,
    session_id TEXT COLLATE "C" NOT NULL,
    component_kind TEXT COLLATE "C" NOT NULL,
    component_id TEXT COLLATE "C" NOT NULL,
    holder TEXT COLLATE "C", -- the task of the run that has it now
    create_time BIGINT NOT NULL,
    update_time BIGINT NOT NULL,
    run_count BIGINT NOT NULL DEFAULT 0, -- also the position of the last entry
    message_count BIGINT NOT NULL DEFAULT 0,
    size_bytes BIGINT NOT NULL DEFAULT 0,
    CONSTRAINT session_key UNIQUE (tenant_id, user_id, session_id, component_kind, component_id)
);

CREATE UNIQUE INDEX session_by_holder ON session (holder) WHERE holder IS NOT NULL;

-- Lists are latest first by (update_time, session_id, component_kind, component_id). The condition is always true: it keeps
-- the planner from taking these indexes, which have all columns of the key, to find one session.
CREATE INDEX session_by_user
    ON session (tenant_id, user_id, update_time, session_id, component_kind, component_id) WHERE update_time >= 0;
CREATE INDEX session_by_component
    ON session (tenant_id, user_id, component_kind, component_id, update_time, session_id) WHERE update_time >= 0;

-- What a run added, as an array of messages in JSON.
CREATE TABLE session_entry (
    session BIGINT NOT NULL,
    position BIGINT NOT NULL,
    tenant_id TEXT NOT NULL,
    task_id TEXT COLLATE "C" NOT NULL,
    create_time BIGINT NOT NULL,
    message_count BIGINT NOT NULL,
    messages BYTEA NOT NULL,
    PRIMARY KEY (session, position)
);

CREATE TABLE request (
    tenant_id TEXT NOT NULL,
    user_id TEXT NOT NULL,
    method TEXT NOT NULL,
    request_id TEXT NOT NULL,
    body_sha256 BYTEA NOT NULL,
    task_id TEXT COLLATE "C" NOT NULL,
    steer_id TEXT COLLATE "C",
    was_canceled_before BOOLEAN NOT NULL,
    create_time BIGINT NOT NULL,
    PRIMARY KEY (tenant_id, user_id, method, request_id)
);

CREATE INDEX request_by_task ON request (task_id);

-- Who lives: an owner that is not here, or whose time is over, is dead and stays so.
CREATE TABLE replica (
    owner TEXT COLLATE "C" PRIMARY KEY,
    expires_at BIGINT NOT NULL
);

-- A task as it is shown: with the end of its tree's log, what the tree spent, its open questions while it waits, and its
-- open approvals: of a root, those of the whole tree.
CREATE VIEW shown_task AS
SELECT
    task.number, task.tenant_id, task.task_id, task.root_task_id, task.parent_task_id, task.user_id, task.session_id,
    task.component_kind, task.component_id, task.state, task.priority, task.attempt, task.create_time, task.start_time,
    task.update_time, task.end_time, task.usage, task.output, task.error, task.labels, task.request_id,
    task.description, task.outlives_parent, task.parked_micros, task.parked_count, tree.last_sequence, tree.limits,
    tree.spent_requests, tree.spent_tool_calls, tree.spent_input_tokens, tree.spent_output_tokens,
    tree.spent_cache_read_tokens, tree.spent_cache_write_tokens,
    -- A view has no records: each question is four texts.
    CASE WHEN task.state = 'input_required' THEN (
        SELECT array_agg(
            ARRAY[question_id, convert_from(body, 'UTF8'), question.create_time::text, expire_time::text]
            ORDER BY position
        )
        FROM question
        WHERE question.task_id = task.task_id AND question.state = 'open'
    ) END AS open_questions,
    (
        SELECT array_agg(body ORDER BY position)
        FROM approval
        WHERE approval.root_task_id = task.root_task_id AND approval.state = 'open'
          AND (task.parent_task_id IS NULL OR approval.task_id = task.task_id)
    ) AS open_approvals
FROM task JOIN tree ON tree.root_task_id = task.root_task_id;

-- Keeps a statement that forgets the tenant to the rows of the tenant that it serves, for roles that this binds: no
-- superuser, and none with BYPASSRLS. A transaction that serves a tenant sets musterd.tenant, one of the server itself has
-- musterd.all_tenants. Without either there are no rows. That is a setting of its own, for a tenant may have any name.
-- The subqueries run once for a statement and not for each row, and all in all this is never the way to find a row.
-- Partitions have no policy of their own: there are no rows in them but through their table.
DO $$
DECLARE
    one RECORD;
BEGIN
    FOR one IN
        SELECT pg_class.oid::regclass AS name, relispartition
        FROM pg_class JOIN pg_attribute ON attrelid = pg_class.oid
        WHERE relnamespace = current_schema()::regnamespace AND relkind IN ('r', 'p') AND attname = 'tenant_id'
    LOOP
        EXECUTE format('ALTER TABLE %s ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY', one.name);
        IF NOT one.relispartition THEN
            EXECUTE format(
                'CREATE POLICY served ON %s USING ('
                '(SELECT current_setting(''musterd.all_tenants'', true)) = ''on'''
                ' OR tenant_id = (SELECT current_setting(''musterd.tenant'', true)))',
                one.name
            );
        END IF;
    END LOOP;
    -- A view looks with its owner's eyes otherwise.
    IF current_setting('server_version_num')::integer >= 150000 THEN
        ALTER VIEW shown_task SET (security_invoker = true);
    END IF;
END
$$;
