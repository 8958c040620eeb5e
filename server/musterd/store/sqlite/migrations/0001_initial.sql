-- expands
-- Times are microseconds since 1970 in UTC. Text that may be absent is NULL, never empty.

CREATE TABLE tree (
    number INTEGER PRIMARY KEY,
    root_task_id TEXT NOT NULL UNIQUE,
    tenant_id TEXT NOT NULL,
    last_sequence INTEGER NOT NULL,
    create_day INTEGER NOT NULL, -- days since 1970
    end_time INTEGER, -- of its last task, noted some time later: only what removes old trees looks at it
    limits BLOB NOT NULL,
    -- The sum of what the usage of its tasks says.
    spent_requests INTEGER NOT NULL DEFAULT 0,
    spent_tool_calls INTEGER NOT NULL DEFAULT 0,
    spent_input_tokens INTEGER NOT NULL DEFAULT 0,
    spent_output_tokens INTEGER NOT NULL DEFAULT 0,
    spent_cache_read_tokens INTEGER NOT NULL DEFAULT 0,
    spent_cache_write_tokens INTEGER NOT NULL DEFAULT 0
);

CREATE INDEX tree_by_day ON tree (create_day, end_time, number);

CREATE TABLE task (
    number INTEGER PRIMARY KEY,
    task_id TEXT NOT NULL UNIQUE,
    root_task_id TEXT NOT NULL,
    parent_task_id TEXT,
    tenant_id TEXT NOT NULL,
    user_id TEXT NOT NULL,
    session_id TEXT,
    component_kind TEXT NOT NULL,
    component_id TEXT NOT NULL,
    state TEXT NOT NULL,
    priority INTEGER NOT NULL,
    queue_key INTEGER NOT NULL, -- the create_time, earlier by a step for each step of the priority
    attempt INTEGER NOT NULL,
    last_write INTEGER NOT NULL DEFAULT 0, -- the number of the attempt's last write that changed this row
    owner TEXT,
    is_waiting INTEGER NOT NULL DEFAULT 0, -- for its children or an answer, and holds no slot meanwhile
    create_time INTEGER NOT NULL,
    start_time INTEGER,
    update_time INTEGER NOT NULL,
    end_time INTEGER,
    usage BLOB,
    output BLOB,
    error BLOB,
    labels BLOB,
    request_id TEXT,
    description BLOB,
    outlives_parent INTEGER NOT NULL,
    park_time INTEGER, -- since when it waits for approvals without an owner
    -- When it may be claimed, of one that waits so, or of a run whose session another one has: that is never, 2^62, until
    -- that one ends. NULL is at once.
    wake_time INTEGER,
    parked_micros INTEGER NOT NULL DEFAULT 0, -- how long it waited so before
    parked_count INTEGER NOT NULL DEFAULT 0 -- how often
);

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

-- What may be claimed, with all that decides about it: a look that finds nothing must cost the same with any number of
-- tasks, and one past many that have to wait must not read their rows.
CREATE INDEX task_claimable ON task (owner, queue_key, task_id, tenant_id, user_id, root_task_id, end_time, state)
    WHERE end_time IS NULL AND state <> 'auth_required' AND wake_time IS NULL;
CREATE INDEX task_parked ON task (wake_time) WHERE wake_time IS NOT NULL;
CREATE INDEX task_queued ON task (state) WHERE state = 'submitted';
CREATE INDEX task_blocked ON task (tenant_id, user_id, session_id, component_kind, component_id, create_time, task_id)
    WHERE wake_time = 4611686018427387904 AND end_time IS NULL;

-- What holds a slot, by the groups that have caps.
CREATE INDEX task_running_of_user ON task (tenant_id, user_id, owner)
    WHERE owner IS NOT NULL AND NOT is_waiting AND state <> 'input_required';
CREATE INDEX task_running_of_tree ON task (root_task_id, owner)
    WHERE owner IS NOT NULL AND NOT is_waiting AND state <> 'input_required';

-- Apart from task, so that a change of state does not write the input again.
CREATE TABLE task_spec (
    task INTEGER PRIMARY KEY,
    format INTEGER NOT NULL,
    spec BLOB NOT NULL,
    blobs BLOB
);

CREATE TABLE blob (
    tenant_id TEXT NOT NULL,
    sha256 BLOB NOT NULL,
    uses INTEGER NOT NULL, -- parts of tasks that have it
    data BLOB NOT NULL,
    PRIMARY KEY (tenant_id, sha256)
);

CREATE INDEX blob_unused ON blob (tenant_id) WHERE uses = 0;

-- Numbers of the tree and the task instead of their ids: this is most of the database, and half as large so.
CREATE TABLE event (
    tree INTEGER NOT NULL,
    sequence INTEGER NOT NULL,
    task INTEGER NOT NULL,
    create_time INTEGER NOT NULL,
    kind TEXT NOT NULL,
    format INTEGER NOT NULL,
    payload BLOB NOT NULL,
    PRIMARY KEY (tree, sequence)
) WITHOUT ROWID;

CREATE TABLE model_step (
    task INTEGER NOT NULL,
    step INTEGER NOT NULL,
    format INTEGER NOT NULL,
    response_json BLOB NOT NULL,
    extra_usage_json BLOB NOT NULL,
    steer_ids BLOB NOT NULL,
    known_tools BLOB NOT NULL,
    PRIMARY KEY (task, step)
);

CREATE TABLE tool_step (
    task INTEGER NOT NULL,
    step INTEGER NOT NULL,
    tool_call_id TEXT NOT NULL,
    format INTEGER NOT NULL,
    tool_name TEXT NOT NULL,
    status TEXT NOT NULL,
    repeatable INTEGER NOT NULL,
    outcome_json BLOB NOT NULL,
    enqueued_json BLOB NOT NULL,
    PRIMARY KEY (task, step, tool_call_id)
);

-- What waits for a task's runner, in the order in which it came: steering messages, and one cancel order. A message of a
-- team has its member and the number of the team's task; it waits without a task while the member has none.
CREATE TABLE inbox (
    position INTEGER PRIMARY KEY,
    entry_id TEXT UNIQUE,
    task_id TEXT,
    kind TEXT NOT NULL,
    state TEXT NOT NULL,
    user_id TEXT,
    body BLOB NOT NULL,
    create_time INTEGER NOT NULL,
    team INTEGER,
    member TEXT
);

CREATE INDEX inbox_by_task ON inbox (task_id, kind, position);
CREATE UNIQUE INDEX inbox_cancel ON inbox (task_id) WHERE kind = 'cancel';
CREATE INDEX inbox_for_member ON inbox (team, member) WHERE member IS NOT NULL AND state IN ('waiting', 'refused');

CREATE TABLE question (
    position INTEGER PRIMARY KEY,
    question_id TEXT NOT NULL UNIQUE,
    task_id TEXT NOT NULL,
    state TEXT NOT NULL,
    body BLOB NOT NULL,
    answer BLOB,
    user_id TEXT,
    create_time INTEGER NOT NULL,
    expire_time INTEGER NOT NULL
);

CREATE INDEX question_by_task ON question (task_id, position);

-- Its body is all that is known of it but the state.
CREATE TABLE approval (
    position INTEGER PRIMARY KEY,
    approval_id TEXT NOT NULL UNIQUE,
    task_id TEXT NOT NULL,
    root_task_id TEXT NOT NULL,
    tenant_id TEXT NOT NULL,
    root_create_time INTEGER NOT NULL,
    state TEXT NOT NULL,
    body BLOB NOT NULL,
    decided_by TEXT,
    expire_time INTEGER NOT NULL
);

CREATE INDEX approval_by_task ON approval (task_id, position);
CREATE INDEX approval_open_in_tree ON approval (root_task_id, position) WHERE state = 'open';
CREATE INDEX approval_decided_in_tree ON approval (root_task_id, decided_by) WHERE decided_by IS NOT NULL;
CREATE INDEX approval_open_in_tenant ON approval (tenant_id, root_create_time, root_task_id) WHERE state = 'open';

-- The number of a team's task stands for the team.
CREATE TABLE board (
    team INTEGER PRIMARY KEY,
    name BLOB NOT NULL,
    members BLOB NOT NULL
);

CREATE TABLE todo (
    position INTEGER PRIMARY KEY,
    team INTEGER NOT NULL,
    todo_id TEXT NOT NULL,
    todo BLOB NOT NULL,
    UNIQUE (team, todo_id)
);

CREATE TABLE team_message (
    position INTEGER PRIMARY KEY,
    team INTEGER NOT NULL,
    message_id TEXT NOT NULL,
    message BLOB NOT NULL,
    UNIQUE (team, message_id)
);

-- Hooks that run after the end of their task. Its tenant and user are those of the task.
CREATE TABLE hook_run (
    number INTEGER PRIMARY KEY,
    tenant_id TEXT NOT NULL,
    user_id TEXT NOT NULL,
    hook_run_id TEXT NOT NULL UNIQUE,
    task_id TEXT NOT NULL,
    phase TEXT NOT NULL,
    position INTEGER NOT NULL, -- among the hooks of the phase
    name BLOB NOT NULL,
    state TEXT NOT NULL,
    attempts INTEGER NOT NULL,
    owner TEXT, -- who runs it
    error BLOB,
    create_time INTEGER NOT NULL,
    update_time INTEGER NOT NULL,
    next_attempt_time INTEGER
);

CREATE INDEX hook_run_pending ON hook_run (next_attempt_time, number) WHERE state = 'pending';
CREATE INDEX hook_run_running ON hook_run (number) WHERE state = 'running';

-- Lists are newest first by (create_time, hook_run_id). Most have completed: to look for others must not pass those.
CREATE INDEX hook_run_by_user ON hook_run (tenant_id, user_id, create_time, hook_run_id);
CREATE INDEX hook_run_by_user_state ON hook_run (tenant_id, user_id, state, create_time, hook_run_id)
    WHERE state <> 'completed';
CREATE INDEX hook_run_by_tenant ON hook_run (tenant_id, create_time, hook_run_id);
CREATE INDEX hook_run_by_state ON hook_run (tenant_id, state, create_time, hook_run_id) WHERE state <> 'completed';
CREATE INDEX hook_run_by_task ON hook_run (task_id, create_time, hook_run_id);

-- What the hooks of one task and phase are called with.
CREATE TABLE hook_payload (
    task INTEGER NOT NULL,
    phase TEXT NOT NULL,
    payload BLOB NOT NULL,
    PRIMARY KEY (task, phase)
);

-- What the runs of one component make up together. They outlive their tasks.
CREATE TABLE session (
    number INTEGER PRIMARY KEY,
    tenant_id TEXT NOT NULL,
    user_id TEXT NOT NULL,
    session_id TEXT NOT NULL,
    component_kind TEXT NOT NULL,
    component_id TEXT NOT NULL,
    holder TEXT, -- the task of the run that has it now
    create_time INTEGER NOT NULL,
    update_time INTEGER NOT NULL,
    run_count INTEGER NOT NULL DEFAULT 0, -- also the position of the last entry
    message_count INTEGER NOT NULL DEFAULT 0,
    size_bytes INTEGER NOT NULL DEFAULT 0,
    UNIQUE (tenant_id, user_id, session_id, component_kind, component_id)
);

CREATE UNIQUE INDEX session_by_holder ON session (holder) WHERE holder IS NOT NULL;

-- Lists are latest first by (update_time, session_id, component_kind, component_id).
CREATE INDEX session_by_user
    ON session (tenant_id, user_id, update_time, session_id, component_kind, component_id);
CREATE INDEX session_by_component
    ON session (tenant_id, user_id, component_kind, component_id, update_time, session_id);

-- What a run added, as an array of messages in JSON.
CREATE TABLE session_entry (
    session INTEGER NOT NULL,
    position INTEGER NOT NULL,
    task_id TEXT NOT NULL,
    create_time INTEGER NOT NULL,
    message_count INTEGER NOT NULL,
    messages BLOB NOT NULL,
    PRIMARY KEY (session, position)
);

CREATE TABLE request (
    tenant_id TEXT NOT NULL,
    user_id TEXT NOT NULL,
    method TEXT NOT NULL,
    request_id TEXT NOT NULL,
    body_sha256 BLOB NOT NULL,
    task_id TEXT NOT NULL,
    steer_id TEXT,
    was_canceled_before INTEGER NOT NULL,
    create_time INTEGER NOT NULL,
    PRIMARY KEY (tenant_id, user_id, method, request_id)
) WITHOUT ROWID;

CREATE INDEX request_by_task ON request (task_id);
