"""Pages of logs."""

from collections.abc import Mapping, Sequence

from musterd.domain.event import Event
from musterd.domain.ports import EventPage
from musterd.domain.task import ComponentKind, ComponentRef
from musterd.store.encoding import decode_payload, from_micros
from musterd.store.postgres.connection import Connection
from musterd.store.postgres.statements import load_statement

_READ = load_statement("read_events")
_READ_LAST_SEQUENCES = load_statement("read_last_sequences")


async def read_last_sequences(connection: Connection, root_task_ids: Sequence[str]) -> Mapping[str, int]:
    """Return where the logs of trees end; nothing for those that do not exist."""
    found = await connection.fetch(_READ_LAST_SEQUENCES, list(root_task_ids))
    return {row["root_task_id"]: row["last_sequence"] for row in found}


async def read_events(connection: Connection, root_task_id: str, after_sequence: int, limit: int) -> EventPage:
    """Return a page of a tree's log; an empty one when there is no such tree."""
    found = await connection.fetch(_READ, root_task_id, after_sequence, limit)
    if not found:
        return EventPage(events=(), oldest_sequence=1, last_sequence=0)
    last_sequence, oldest_sequence = found[0]["last_sequence"], found[0]["oldest_sequence"]
    events = tuple(
        Event(
            root_task_id,
            row["task_id"],
            row["sequence"],
            from_micros(row["create_time"]),
            ComponentRef(kind=ComponentKind(row["component_kind"]), id=row["component_id"]),
            decode_payload(row["kind"], row["format"], row["payload"]),
        )
        for row in found
        if row["sequence"] is not None
    )
    return EventPage(
        events=events,
        oldest_sequence=last_sequence + 1 if oldest_sequence is None else oldest_sequence,
        last_sequence=last_sequence,
    )
