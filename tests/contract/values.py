"""Ordinary values for tests of a store."""

import hashlib
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

from hypothesis import HealthCheck

from musterd.domain.errors import Reason
from musterd.domain.event import Payload, TaskCompleted, TaskFailed, TaskStarted, TextDelta
from musterd.domain.ids import new_id
from musterd.domain.orders import CancelOrder, Steer
from musterd.domain.ports import ClaimedTask, Lost, NewTask, RequestKey, Store, Stored, TaskWrite
from musterd.domain.principal import Identity, Viewer
from musterd.domain.queueing import Caps
from musterd.domain.task import (
    ComponentKind,
    ComponentRef,
    Output,
    Part,
    Task,
    TaskError,
    TaskSpec,
    TaskState,
    Usage,
    UsageLimits,
)

OWNER = "server-1"
LATER_OWNER = "server-2"

ANNA = Viewer(tenant_id="acme", user_id="anna")
BERT = Viewer(tenant_id="acme", user_id="bert")
ANNA_ELSEWHERE = Viewer(tenant_id="umbrella", user_id="anna")
ADMIN = Viewer(tenant_id="acme", user_id=None)
ADMIN_ELSEWHERE = Viewer(tenant_id="umbrella", user_id=None)

GREETER = ComponentRef(kind=ComponentKind.AGENT, id="greeter")
WRITER = ComponentRef(kind=ComponentKind.AGENT, id="writer")
RESEARCHER = ComponentRef(kind=ComponentKind.SUBAGENT, id="researcher")

PER_STORE = (HealthCheck.function_scoped_fixture, HealthCheck.differing_executors)
"""What hypothesis has to put up with: one store for all examples, and the same test for each kind of store."""

NO_CAPS = Caps(in_all=1_000)
SPENT = Usage(requests=2, input_tokens=30, output_tokens=4, details={"reasoning_tokens": 1})
SOFT = CancelOrder(hard=False, grace_seconds=30.0, reason="no longer needed", cascade=True, user_id="anna")
HARD = CancelOrder(hard=True, grace_seconds=0.0, reason="stop it", cascade=True, user_id="anna")


def make_identity(viewer: Viewer = ANNA) -> Identity:
    """Return what is kept of a caller."""
    return Identity(
        tenant_id=viewer.tenant_id,
        user_id=viewer.user_id or "",
        scopes=frozenset(("agents:run", "tasks:read")),
        claims={"tier": "gold", "groups": ["a", {"b": None}], "age": 7, "share": 0.5},
        captured_at=datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC),
    )


def make_spec(
    viewer: Viewer = ANNA, *, component: ComponentRef = GREETER, session_id: str = "", parts: tuple[Part, ...] = ()
) -> TaskSpec:
    """Return what a task is asked to do."""
    return TaskSpec(
        component=component,
        message="say hello",
        parts=parts,
        factory_input_json='{"polite":true}',
        identity=make_identity(viewer),
        session_id=session_id,
        run_timeout_seconds=60.0,
        usage_limits=UsageLimits(requests=5),
        caller_metadata={"x-trace": "1"},
    )


def make_root(
    viewer: Viewer = ANNA,
    *,
    owner: str | None = OWNER,
    request: RequestKey | None = None,
    spec: TaskSpec | None = None,
    labels: Mapping[str, str] | None = None,
    payloads: tuple[Payload, ...] = (TaskStarted(),),
) -> NewTask:
    """Return a new task without a parent."""
    task_id = new_id()
    return NewTask(
        task_id=task_id,
        root_task_id=task_id,
        spec=spec or make_spec(viewer),
        owner=owner,
        request=request,
        labels=labels or {},
        payloads=payloads,
    )


def make_child(
    parent: Task, *, owner: str | None = OWNER, viewer: Viewer = ANNA, component: ComponentRef = GREETER
) -> NewTask:
    """Return a new task below another."""
    return NewTask(
        task_id=new_id(),
        root_task_id=parent.root_task_id,
        parent_task_id=parent.task_id,
        parent_attempt=parent.attempt,
        spec=make_spec(viewer, component=component),
        owner=owner,
        payloads=(TaskStarted(parent_task_id=parent.task_id),),
    )


def make_key(request_id: str, *, viewer: Viewer = ANNA, method: str = "RunAgent", body: str = "body") -> RequestKey:
    """Return the key of a call."""
    return RequestKey(
        tenant_id=viewer.tenant_id,
        user_id=viewer.user_id or "",
        method=method,
        request_id=request_id,
        body_sha256=hashlib.sha256(body.encode()).digest(),
    )


def make_steer(task: Task, message: str = "mind the gap") -> Steer:
    """Return a message for a task."""
    return Steer(steer_id=new_id(), task_id=task.task_id, message=message, user_id="anna")


def make_deltas(count: int) -> tuple[Payload, ...]:
    """Return pieces of text."""
    return tuple(TextDelta(step=1, part_index=0, text=f"piece {number} ") for number in range(count))


def complete(task: Task) -> TaskWrite:
    """Return the write that ends a task with its result."""
    output = Output(text="done")
    return TaskWrite(
        task_id=task.task_id,
        attempt=task.attempt,
        payloads=(TaskCompleted(output=output, usage=SPENT),),
        state=TaskState.COMPLETED,
        usage=SPENT,
        output=output,
    )


def fail(task: Task, *, state: TaskState = TaskState.FAILED) -> TaskWrite:
    """Return the write that ends a task with an error."""
    error = TaskError(reason=Reason.MODEL_FAILED, message="the model is away", cause="TIMEOUT")
    return TaskWrite(
        task_id=task.task_id,
        attempt=task.attempt,
        payloads=(TaskFailed(error=error, usage=SPENT, state=state),),
        state=state,
        usage=SPENT,
        error=error,
    )


def say(task: Task, *payloads: Payload, state: TaskState | None = None) -> TaskWrite:
    """Return a write of events."""
    return TaskWrite(task_id=task.task_id, attempt=task.attempt, payloads=payloads, state=state)


async def start(store: Store, new: NewTask | None = None) -> Task:
    """Store a new task, by default one that runs."""
    return (await store.create_task(new or make_root())).task


async def claim(store: Store, owner: str = OWNER, limit: int = 10) -> Sequence[ClaimedTask]:
    """Take over what nobody holds, without caps."""
    return await store.claim(owner, limit, NO_CAPS, {})


async def write_one(store: Store, write: TaskWrite) -> Stored | Lost:
    """Apply one write."""
    (result,) = await store.write([write])
    return result


async def read_log(store: Store, task: Task) -> Sequence[Payload]:
    """Return the payloads of a tree's whole log, having checked that its sequences are dense from 1."""
    page = await store.read_events(task.root_task_id, 0, 10_000)
    assert [event.sequence for event in page.events] == list(range(1, page.last_sequence + 1))
    return [event.payload for event in page.events]
