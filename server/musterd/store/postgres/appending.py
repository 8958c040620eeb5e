"""Events of running tasks that change nothing else: most of what is stored, in one statement."""

from collections.abc import Callable, Sequence
from datetime import datetime
from functools import lru_cache

from musterd.domain.event import Event
from musterd.domain.ports import Lost, Stored, TaskWrite
from musterd.domain.task import ComponentKind, ComponentRef, TaskState
from musterd.store.encoding import EVENT_FORMAT, PAYLOAD_ENCODERS, from_micros, to_micros
from musterd.store.postgres.connection import Connection, Row
from musterd.store.postgres.statements import load_statement

_APPEND = load_statement("append")


def only_append(writes: Sequence[TaskWrite]) -> bool:
    """Whether writes do nothing but append events, each to another task.

    They must have numbers: then who is in doubt about them repeats them.
    """
    return len({one.task_id for one in writes}) == len(writes) and all(
        one.number
        and one.state is None
        and one.usage is None
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
    rows = await connection.fetch(
        _APPEND,
        [one.task_id for one in writes],
        [one.attempt for one in writes],
        [one.number for one in writes],
        [len(one.payloads) for one in writes],
        *_columns(writes),
        EVENT_FORMAT,
        None if clock is None else to_micros(clock()),
    )
    results: list[Stored | Lost] = [Lost()] * len(writes)
    events: list[Event] = []
    for row in sorted(rows, key=_position):
        index: int = row["position"] - 1
        if row["before"] is not None:
            stored = Stored(state=TaskState(row["state"]), events=_to_events(row, writes[index]))
            results[index] = stored
            events += stored.events
        elif row["is_repeated"]:
            results[index] = Stored(state=TaskState(row["state"]), events=())
    return results, events


def _position(row: Row) -> int:
    return row["position"]


def _columns(writes: Sequence[TaskWrite]) -> tuple[list[int], list[int], list[str], list[bytes]]:
    """Return the events of writes: the position of the write and the place in it, both from 1, and the payload."""
    positions: list[int] = []
    places: list[int] = []
    kinds: list[str] = []
    data: list[bytes] = []
    for position, one in enumerate(writes, start=1):
        for place, payload in enumerate(one.payloads, start=1):
            kind, encode = PAYLOAD_ENCODERS[type(payload)]
            positions.append(position)
            places.append(place)
            kinds.append(kind)
            data.append(encode(payload))
    return positions, places, kinds, data


def _to_events(row: Row, one: TaskWrite) -> tuple[Event, ...]:
    root_task_id, task_id, create_time = row["root_task_id"], one.task_id, from_micros(row["create_time"])
    component = _component(row["component_kind"], row["component_id"])
    return tuple(
        Event(root_task_id, task_id, sequence, create_time, component, payload)
        for sequence, payload in enumerate(one.payloads, start=row["before"] + 1)
    )


@lru_cache(maxsize=1024)
def _component(kind: str, component_id: str) -> ComponentRef:
    return ComponentRef(kind=ComponentKind(kind), id=component_id)
