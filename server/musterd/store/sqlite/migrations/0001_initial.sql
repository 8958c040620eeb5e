-- Times are microseconds since 1970 in UTC. Text that may be absent is NULL, never empty.

CREATE TABLE tree (
    number INTEGER PRIMARY KEY,
    root_task_id TEXT NOT NULL UNIQUE,
    tenant_id TEXT NOT NULL,
    last_sequence INTEGER NOT NULL,
    create_day INTEGER NOT NULL, -- days since 1970
    limits BLOB NOT NULL,
    -- The sum of what the usage of its tasks says.
    spent_requests INTEGER NOT NULL DEFAULT 0,
    spent_tool_calls INTEGER NOT NULL DEFAULT 0,
    spent_input_tokens INTEGER NOT NULL DEFAULT 0,
    spent_output_tokens INTEGER NOT NULL DEFAULT 0,
    spent_cache_read_tokens INTEGER NOT NULL DEFAULT 0,
    spent_cache_write_tokens INTEGER NOT NULL DEFAULT 0
);

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
    outlives_parent INTEGER NOT NULL
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
    WHERE end_time IS NULL AND state <> 'auth_required';
CREATE INDEX task_queued ON task (state) WHERE state = 'submitted';

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
    data BLOB NOT NULL,
    PRIMARY KEY (tenant_id, sha256)
);

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

CREATE INDEX question_open ON question (task_id, position) WHERE state = 'open';

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
