"""A process with a store of its own, for tests that kill it, lock it out or take the disk from it.

Called with what to do and the path of the database; says what happened line by line on standard output.
"""

import asyncio
import json
import resource
import sys
from pathlib import Path

from tests.contract.values import ANNA, make_root, start

from musterd.domain.errors import MusterdError
from musterd.domain.event import TextDelta
from musterd.domain.ports import TaskWrite
from musterd.store.errors import StoreOpenError
from musterd.store.sqlite import SqliteStore

ROOM_BYTES = 600_000
TEXT = "x" * 10_000


def tell(**facts: object) -> None:
    """Say something to the test."""
    sys.stdout.write(json.dumps(facts) + "\n")
    sys.stdout.flush()


async def hold(store: SqliteStore) -> None:
    """Keep the database until the test closes standard input."""
    tell(held=True)
    await asyncio.to_thread(sys.stdin.read)


async def acknowledge(store: SqliteStore) -> None:
    """Store tasks, several at once, and name each one that is stored, until the process is killed."""

    async def work() -> None:
        while True:
            task = await start(store, make_root())
            text = TextDelta(step=1, part_index=0, text=task.task_id)
            await store.write([TaskWrite(task_id=task.task_id, attempt=1, payloads=(text,))])
            tell(task_id=task.task_id)

    await asyncio.gather(*[work() for _ in range(8)])


async def fill(store: SqliteStore) -> None:
    """Write until no file may grow any more, then until they may again."""
    task = await start(store, make_root())
    write = TaskWrite(task_id=task.task_id, attempt=1, payloads=(TextDelta(step=1, part_index=0, text=TEXT),))
    usual = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (ROOM_BYTES, usual[1]))
    stored = 1
    refusal: MusterdError | None = None
    while refusal is None:
        results = await asyncio.gather(*[store.write([write]) for _ in range(4)], return_exceptions=True)
        for result in results:
            if isinstance(result, MusterdError):
                refusal = result
            else:
                assert not isinstance(result, BaseException)
                stored += 1
    page = await store.read_events(task.task_id, 0, 10_000)
    tell(
        reason=refusal.reason,
        retry_after_seconds=refusal.retry_after_seconds,
        stored=stored,
        found=len(page.events),
        last_sequence=page.last_sequence,
    )
    resource.setrlimit(resource.RLIMIT_FSIZE, usual)
    await store.write([write])
    last = (await store.get_task(ANNA, task.task_id)).last_sequence
    tell(last_sequence=last)


async def main(action: str, path: Path) -> None:
    """Open the store and do what is asked for."""
    store = SqliteStore(path)
    try:
        await store.open(lambda _: None)
    except StoreOpenError as error:
        tell(refused=str(error))
        return
    try:
        await {"hold": hold, "acknowledge": acknowledge, "fill": fill}[action](store)
    finally:
        await store.close()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], Path(sys.argv[2])))
