"""DeleteSession when something comes between its looking for live runs and their end."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import cast

import pytest
from tests.support.gated_model import Gate
from tests.support.stage import Stage, at, do, task
from tests.support.stopping_store import StoppingStore

from musterd import Musterd
from musterd.domain.full_store import FullStore
from musterd.store.sqlite import SqliteStore
from musterd.testing import serve
from musterd_client import CancelMode, MusterdClient, NotFoundError

ID = "s-1"


@asynccontextmanager
async def serve_stopping(app: Musterd, folder: Path, gate: Gate) -> AsyncGenerator[MusterdClient]:
    """Serve an app whose deletions stop at a gate once they know which runs are live."""
    store = StoppingStore(SqliteStore(folder / "musterd.db"), "find_live_runs", gate, after=True)
    async with serve(app, folder=folder, store=cast("FullStore", store)) as client:
        yield client


async def test_a_run_that_ends_by_itself_does_not_keep_its_children_from_being_canceled(tmp_path: Path) -> None:
    """N1, S13: of one that ends before it could be canceled, those that outlive it are canceled one by one."""
    stage, gate = Stage(), Gate()
    app = stage.app(stage.delegating(background_outlives_run=True))
    async with serve_stopping(app, tmp_path, gate) as client:
        async with client.run_agent("boss", do(task(do(at("child"), "x")), at("end"), "done"), session_id=ID) as run:
            await stage.gates["child"].reached.wait()
            await stage.gates["end"].reached.wait()
            deleting = asyncio.ensure_future(client.sessions.delete(ID, cancel_live_runs=True))
            await gate.reached.wait()
            stage.gates["end"].open()
            assert (await run.result()).text == "done"
        gate.open()
        await deleting
        with pytest.raises(NotFoundError):
            await client.sessions.get(ID)


async def test_of_two_deletions_one_finds_no_session(tmp_path: Path) -> None:
    """N1 (refusal): and not that there is no task, for which it was not asked."""
    stage, gate = Stage(), Gate()
    async with serve_stopping(stage.app(), tmp_path, gate) as client:
        async with client.run_agent("boss", do(at("end"), "done"), session_id=ID, background=True) as run:
            pass
        await stage.gates["end"].reached.wait()
        deleting = asyncio.ensure_future(client.sessions.delete(ID, cancel_live_runs=True))
        await gate.reached.wait()
        await client.tasks.cancel(run.task.task_id, mode=CancelMode.HARD)
        await client.sessions.delete(ID)
        gate.open()
        with pytest.raises(NotFoundError) as refused:
            await deleting
    assert refused.value.reason == "SESSION_NOT_FOUND"
