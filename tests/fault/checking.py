"""What must hold after every fault."""

import json
from collections import Counter
from collections.abc import Sequence

from tests.e2e.reading import is_dense, log_of
from tests.fault.cluster import Cluster
from tests.support.followers import Follower

from musterd_client import (
    Event,
    MusterdClient,
    Task,
    TaskCanceled,
    TaskCompleted,
    TaskFailed,
    TaskState,
    TerminalEvent,
    ToolCallCompleted,
    ToolCallStarted,
)

ENDINGS: dict[type[TerminalEvent], tuple[TaskState, ...]] = {
    TaskCompleted: (TaskState.COMPLETED,),
    TaskFailed: (TaskState.FAILED, TaskState.REJECTED),
    TaskCanceled: (TaskState.CANCELED,),
}
UNFINISHED = tuple(state for state in TaskState if not state.is_terminal and state is not TaskState.UNKNOWN)


async def check(cluster: Cluster, *followers: Follower) -> tuple[Task, list[Event]]:
    """Check the task that all followers follow, and return it with its log, which every replica tells alike."""
    await cluster.all_serving()
    followed = [await follower.ended() for follower in followers]
    task_id = followed[0][0].task_id
    seen: list[tuple[Task, list[Event]]] = []
    for first in range(len(cluster.replicas)):
        async with cluster.client(first) as client:
            seen.append(await check_task(client, task_id, cluster.ledger()))
            assert [task.task_id async for task in client.tasks.list(states=UNFINISHED)] == []
    task, log = seen[0]
    assert seen == [(task, log)] * len(seen)
    for events in followed:
        assert events == log
    return task, log


async def check_task(client: MusterdClient, task_id: str, ledger: Sequence[str] = ()) -> tuple[Task, list[Event]]:
    """Check that a task ended once, that its log has no gap, and that its finished tool calls ran once."""
    log = await log_of(client, task_id)
    task = await client.tasks.status(task_id)
    assert is_dense(log)
    endings = [event for event in log if isinstance(event, TaskCompleted | TaskFailed | TaskCanceled)]
    assert [event.task_id for event in endings] == [task_id]
    assert endings[0] is log[-1]
    assert task.state in ENDINGS[type(endings[0])]
    assert sum(event.kind == "task_started" for event in log) == 1
    _check_tools(log, ledger)
    return task, log


def _check_tools(log: Sequence[Event], ledger: Sequence[str]) -> None:
    times = Counter(ledger)
    finished = [event.tool_call_id for event in log if isinstance(event, ToolCallCompleted)]
    assert len(finished) == len(set(finished))
    for event in log:
        if isinstance(event, ToolCallStarted) and event.tool_call_id in finished:
            assert times[_trace_of(event)] == 1, event


def _trace_of(call: ToolCallStarted) -> str:
    """Return the line that a call leaves in the ledger."""
    arguments = json.loads(call.arguments_json)
    return arguments["what"] if call.tool_name == "note" else f"{arguments['gate']} is over"
