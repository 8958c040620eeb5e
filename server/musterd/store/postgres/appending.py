"""Events of running tasks that change nothing else: most of what is stored, in one statement."""

from collections.abc import Callable, Sequence
from datetime import datetime
from functools import lru_cache

from musterd.domain.event import Event
from musterd.domain.ports import Lost, Stored, TaskWrite
from musterd.domain.task import ComponentKind, ComponentRef, TaskState
from musterd.store.encoding import EVENT_FORMAT, PAYLOAD_ENCODERS, from_micros, to_micros
from musterd.store.postgres.connection import Connection
from musterd.store.postgres.statements import load_statement

_APPEND = load_statement("append")
_FIND_REPEATED = load_statement("find_repeated")

_LOST = Lost()
_Held = tuple[int, str, str, str, str, int, int]
_STATES = {state.value: state for state in TaskState}


def only_append(writes: Sequence[TaskWrite]) -> bool:
    """Whether writes do nothing but append events, each to another task.

    They must have numbers: then who is in doubt about them repeats them.
    """
    return len({one.task_id for one in writes}) == len(writes) and all(
        one.number
        and one.state is None
        and one.usage is None
        and one.is_waiting is None
        and one.output is None
        and one.error is None
        and not one.steps
        and not one.applied_steer_ids
        for one in writes
    )


async def append(
    connection: Connection, writes: Sequence[TaskWrite], clock: Callable[[], datetime] | None
) -> tuple[Sequence[Stored | Lost], Sequence[Event]]:
    """Append the events of fenced writes, and return the results with all the events. Commits by itself."""
    firsts, kinds, data = _columns(writes)
    rows: Sequence[_Held] = await connection.fetch(
        _APPEND,
        [one.task_id for one in writes],
        [one.attempt for one in writes],
        [one.number for one in writes],
        firsts,
        [len(one.payloads) for one in writes],
        kinds,
        data,
        EVENT_FORMAT,
        None if clock is None else to_micros(clock()),
    )
    results: list[Stored | Lost] = [_LOST] * len(writes)
    events: list[Event] = []
    create_time = from_micros(rows[0][-1] if rows else 0)
    # Those of one tree are in their order. By place, for speed: this is the hot path.
    for position, root_task_id, kind, component_id, state, before, _ in rows:
        one, component = writes[position - 1], _component(kind, component_id)
        added = tuple(
            [
                Event(root_task_id, one.task_id, sequence, create_time, component, payload)
                for sequence, payload in enumerate(one.payloads, start=before + 1)
            ]
        )
        results[position - 1] = Stored(state=_STATES[state], events=added)
        events += added
    if len(rows) < len(writes):
        await _find_repeated(connection, writes, results)
    return results, events


async def _find_repeated(connection: Connection, writes: Sequence[TaskWrite], results: list[Stored | Lost]) -> None:
    """Tell of the writes that had no effect those that had it before from those that are lost."""
    without = [index for index, result in enumerate(results) if isinstance(result, Lost)]
    rows = await connection.fetch(
        _FIND_REPEATED,
        [writes[index].task_id for index in without],
        [writes[index].attempt for index in without],
        [writes[index].number for index in without],
    )
    for row in rows:
        results[without[row["position"] - 1]] = Stored(state=_STATES[row["state"]], events=())


def _columns(writes: Sequence[TaskWrite]) -> tuple[list[int], list[str], list[bytes]]:
    """Return the place of the first event of each write, from 0, and the kinds and payloads of all events."""
    firsts: list[int] = []
    kinds: list[str] = []
    data: list[bytes] = []
    for one in writes:
        firsts.append(len(data))
        for payload in one.payloads:
            kind, encode = PAYLOAD_ENCODERS[type(payload)]
            kinds.append(kind)
            data.append(encode(payload))
    return firsts, kinds, data


@lru_cache(maxsize=1024)
def _component(kind: str, component_id: str) -> ComponentRef:
    return ComponentRef(kind=ComponentKind(kind), id=component_id)
