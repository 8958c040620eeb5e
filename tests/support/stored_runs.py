"""Writes to a real store directly, where a test is about what reads it."""

from collections.abc import Sequence

from musterd.domain.event import Payload, TaskCompleted, TaskStarted, TextDelta
from musterd.domain.ids import new_id
from musterd.domain.ports import NewTask, Store, TaskWrite
from musterd.domain.principal import Identity
from musterd.domain.task import (
    ComponentKind,
    ComponentRef,
    Output,
    Task,
    TaskSpec,
    TaskState,
    Usage,
    UsageLimits,
)


async def begin_task(store: Store, *, owner: str | None = "test", **spec: object) -> Task:
    """Store a running task with its first event."""
    task_id = new_id()
    identity = Identity(tenant_id="acme", user_id="ada", captured_at=await store.now())
    fields: dict[str, object] = {
        "component": ComponentRef(kind=ComponentKind.AGENT, id="agent"),
        "message": "go",
        "identity": identity,
        "run_timeout_seconds": 3_600.0,
        "usage_limits": UsageLimits(),
    }
    task_spec = TaskSpec(**(fields | spec))  # pyright: ignore[reportArgumentType] - the fields of a test vary
    payloads: tuple[Payload, ...] = (TaskStarted(),) if owner is not None else ()
    new = NewTask(task_id=task_id, root_task_id=task_id, spec=task_spec, owner=owner, payloads=payloads)
    return (await store.create_task(new)).task


def deltas(count: int) -> tuple[TextDelta, ...]:
    """Return numbered pieces of text."""
    return tuple(TextDelta(step=1, part_index=0, text=f"{number} ") for number in range(count))


async def tell(store: Store, task: Task, payloads: Sequence[Payload]) -> None:
    """Append events to a task's log."""
    await store.write([TaskWrite(task_id=task.task_id, attempt=task.attempt, payloads=tuple(payloads))])


async def complete(store: Store, task: Task) -> None:
    """End a task."""
    output = Output(text="done")
    payload = TaskCompleted(output=output, usage=Usage())
    write = TaskWrite(
        task_id=task.task_id,
        attempt=task.attempt,
        payloads=(payload,),
        state=TaskState.COMPLETED,
        usage=Usage(),
        output=output,
    )
    await store.write([write])
