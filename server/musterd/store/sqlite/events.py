"""Pages of logs."""

import sqlite3
from collections.abc import Mapping, Sequence

from musterd.domain.event import Event
from musterd.domain.ports import EventPage
from musterd.domain.task import ComponentKind, ComponentRef
from musterd.store.encoding import TEXTS, decode_payload, from_micros

_FIND_TREE = """
SELECT number, last_sequence, (SELECT min(sequence) FROM event WHERE tree = tree.number)
FROM tree
WHERE root_task_id = ?
"""
_READ_PAGE = """
SELECT task_id, sequence, event.create_time, component_kind, component_id, kind, format, payload
FROM event JOIN task ON task.number = event.task
WHERE tree = ? AND sequence > ?
ORDER BY sequence
LIMIT ?
"""
_READ_LAST_SEQUENCES = """
SELECT root_task_id, last_sequence FROM tree WHERE root_task_id IN (SELECT value FROM json_each(?))
"""


def read_last_sequences(connection: sqlite3.Connection, root_task_ids: Sequence[str]) -> Mapping[str, int]:
    """Return where the logs of trees end; nothing for those that do not exist."""
    ids = TEXTS.encode(tuple(root_task_ids)).decode()
    return dict(connection.execute(_READ_LAST_SEQUENCES, (ids,)).fetchall())


def read_events(connection: sqlite3.Connection, root_task_id: str, after_sequence: int, limit: int) -> EventPage:
    """Return a page of a tree's log; an empty one when there is no such tree."""
    tree = connection.execute(_FIND_TREE, (root_task_id,)).fetchone()
    if tree is None:
        return EventPage(events=(), oldest_sequence=1, last_sequence=0)
    number, last_sequence, oldest_sequence = tree
    found = connection.execute(_READ_PAGE, (number, after_sequence, limit)).fetchall()
    events = tuple(
        Event(
            root_task_id,
            task_id,
            sequence,
            from_micros(create_time),
            ComponentRef(kind=ComponentKind(component_kind), id=component_id),
            decode_payload(kind, row_format, payload),
        )
        for task_id, sequence, create_time, component_kind, component_id, kind, row_format, payload in found
    )
    return EventPage(
        events=events,
        oldest_sequence=last_sequence + 1 if oldest_sequence is None else oldest_sequence,
        last_sequence=last_sequence,
    )
