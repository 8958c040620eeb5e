-- Times are microseconds since 1970 in UTC. Text that may be absent is NULL, never empty.

CREATE TABLE tree (
    number INTEGER PRIMARY KEY,
    root_task_id TEXT NOT NULL UNIQUE,
    tenant_id TEXT NOT NULL,
    last_sequence INTEGER NOT NULL,
    create_day INTEGER NOT NULL -- days since 1970
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
    attempt INTEGER NOT NULL,
    owner TEXT,
    create_time INTEGER NOT NULL,
    start_time INTEGER,
    update_time INTEGER NOT NULL,
    end_time INTEGER,
    usage BLOB,
    output BLOB,
    error BLOB,
    labels BLOB,
    request_id TEXT
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

-- What may be claimed: a look that finds nothing must cost the same with any number of tasks.
CREATE INDEX task_claimable ON task (owner, create_time, task_id)
    WHERE end_time IS NULL AND state <> 'auth_required';

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

-- What waits for a task's runner, in the order in which it came: steering messages, and one cancel order.
CREATE TABLE inbox (
    position INTEGER PRIMARY KEY,
    entry_id TEXT UNIQUE,
    task_id TEXT NOT NULL,
    kind TEXT NOT NULL,
    state TEXT NOT NULL,
    user_id TEXT NOT NULL,
    body BLOB NOT NULL,
    create_time INTEGER NOT NULL
);

CREATE INDEX inbox_by_task ON inbox (task_id, kind, position);
CREATE UNIQUE INDEX inbox_cancel ON inbox (task_id) WHERE kind = 'cancel';

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
