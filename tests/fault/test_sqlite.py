"""One server on SQLite: it is killed while it commits for many, and its disk runs full."""

import asyncio
import errno
import os
import shutil
from pathlib import Path

import pytest
from tests.e2e.shop import open_shop
from tests.fault.checking import UNFINISHED, check_task
from tests.support.followers import Follower
from tests.support.processes import BIN, Process

from musterd.testing.model import gate, text
from musterd_client import RetryPolicy, TaskState, TextDelta, UnavailableError

RUNS = 40
STUBBORN = RetryPolicy(call_attempts=1_000, resume_attempts=1_000, max_delay_seconds=0.2)
ONCE = RetryPolicy(call_attempts=1, resume_attempts=0)

DISK_BYTES = 4_000_000
BLOCK = bytes(4096)
SERVE = f'mount -t tmpfs -o size={DISK_BYTES} tmpfs disk && exec "$0" serve shop:app'
"""Run in a namespace of its own, where everybody may mount."""


@pytest.fixture
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give a folder with a short path: that of a unix socket may have about a hundred bytes."""
    return tmp_path_factory.mktemp("shop")


async def test_a_server_that_dies_while_it_commits_for_many_loses_nothing_that_it_accepted(folder: Path) -> None:
    """R3, R8. Callers whose answers were lost ask again, and get one task each."""
    async with (
        open_shop(folder, lambda _: text("It ", "is ", "done.")) as shop,
        shop.client(retry=STUBBORN) as client,
    ):
        accepted = asyncio.Semaphore(0)

        async def run(number: int) -> str:
            stream = client.run_agent("support", f"order {number}", request_id=f"request {number}")
            task = await stream.start()
            accepted.release()
            assert (await stream.result()).output.text == "It is done."
            return task.task_id

        async with shop.serving() as first_life:
            runs = [asyncio.create_task(run(number)) for number in range(RUNS)]
            for _ in range(RUNS // 4):
                await accepted.acquire()
            await first_life.kill()
        async with shop.serving():
            task_ids = await asyncio.gather(*runs)
            assert [task.task_id async for task in client.tasks.list(states=UNFINISHED)] == []
            assert sorted([task.task_id async for task in client.tasks.list()]) == sorted(task_ids)
            for task_id in task_ids:
                await check_task(client, task_id)
    assert len(set(task_ids)) == RUNS


async def test_a_server_whose_disk_is_full_says_so_and_goes_on_when_there_is_room(folder: Path) -> None:
    """R3, R8. What runs waits for room; what comes is refused, and nothing of it is stored."""
    (folder / "disk").mkdir()
    unshare = shutil.which("unshare")
    assert unshare is not None, "a small disk needs the program unshare of util-linux"
    async with (
        open_shop(folder, lambda _: text("It ") + gate("full") + text("is done.")) as shop,
        Process(
            unshare,
            "--user",
            "--map-root-user",
            "--mount",
            "/bin/sh",
            "-c",
            SERVE,
            str(BIN / "musterd"),
            folder=folder,
            variables={**shop.variables, "MUSTERD_STORE__URL": "sqlite:///disk/musterd.db"},
        ) as server,
        shop.client() as client,
        shop.client(retry=ONCE) as hasty,
    ):
        await server.logged("serving")
        async with Follower(client.run_agent("support", "Where is it?")) as follower:
            await follower.seen(lambda event: isinstance(event, TextDelta))
            filler = Path(f"/proc/{server.process_id}/root", *(folder / "disk" / "filler").parts[1:])
            fill(filler)
            shop.model.release("full")
            await server.logged("store_unavailable")
            with pytest.raises(UnavailableError) as refused:
                await hasty.run_agent("support", "And this?", request_id="again").start()
            make_room(filler)
            later = await client.run_agent("support", "And this?", request_id="again").result()
            followed = await follower.ended()
            task, log = await check_task(client, followed[0].task_id)
            await check_task(client, later.task.task_id)
            assert sum([1 async for _ in client.tasks.list()]) == 2
    assert refused.value.reason == "STORE_UNAVAILABLE"
    assert "nothing of it is stored" in refused.value.message
    assert followed == log
    assert (task.state, task.attempt, later.task.state) == (TaskState.COMPLETED, 1, TaskState.COMPLETED)


def make_room(path: Path) -> None:
    """Remove a file."""
    path.unlink()


def fill(path: Path) -> None:
    """Write a file until its disk is full."""
    with pytest.raises(OSError, match=os.strerror(errno.ENOSPC)):
        write_blocks(path)


def write_blocks(path: Path) -> None:
    """Write a file without an end."""
    with path.open("wb", buffering=0) as file:
        while True:
            file.write(BLOCK)
