"""Decisions that come when the identity of the run has grown too old: who decides them says under which it goes on."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from tests.support.clocks import DrivenClock
from tests.support.payments import Till, asked_of, result_of
from tests.support.tokens import AUTH, USER_SCOPES, token
from tests.support.trees import log_of

from musterd import AgentFactory, Musterd, RequestContext
from musterd.store.sqlite import SqliteStore
from musterd.testing import serve
from musterd_client import AuthRenewed, AuthRequired, MusterdClient, Resolution, TaskState

MAX_AGE_SECONDS = 3_600
APPROVER_SCOPES = "tasks:read tasks:approve"


class World:
    """One database and one clock over several lives of a server."""

    def __init__(self, folder: Path) -> None:
        self.clock = DrivenClock()
        self.till = Till()
        self.tiers: list[Any] = []
        self._folder = folder

    def build(self, context: RequestContext) -> Any:
        self.tiers.append(context.trusted.claims.get("tier"))
        return self.till.payer(deps_type=RequestContext)

    def token(self, user: str = "ada", scopes: str = f"{USER_SCOPES} tasks:approve", **claims: Any) -> str:
        return token(user, at=self.clock.now(), scopes=scopes, lifetime_seconds=10 * MAX_AGE_SECONDS, **claims)

    @asynccontextmanager
    async def life(self, tier: str) -> AsyncGenerator[MusterdClient]:
        """Serve until the block ends, and give the owner's client."""
        app = Musterd(agents=[AgentFactory("payer", self.build)])
        store = SqliteStore(self._folder / "musterd.db", self.clock.now)
        auth = {**AUTH, "snapshot_max_age_seconds": MAX_AGE_SECONDS}
        caller = self.token(tier=tier)
        async with serve(app, folder=self._folder, store=store, clock=self.clock, auth=auth, token=caller) as client:
            yield client

    async def left_waiting(self) -> str:
        """Leave a run that waits for an approval, until its identity is too old."""
        async with self.life("old") as client, client.run_agent("payer", "go", run_timeout_seconds=86_400) as run:
            await asked_of(run)
        self.clock.advance(2 * MAX_AGE_SECONDS)
        return run.task.task_id


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


async def test_a_late_decision_of_the_owner_brings_a_fresh_identity(world: World) -> None:
    """I7, N2."""
    task_id = await world.left_waiting()
    async with world.life("new") as client:
        await client.tasks.resolve(task_id, [Resolution.approve()])
        text = await result_of(client, task_id)
    assert (text, world.till.paid, world.tiers[-1]) == ("paid 3", [3], "new")


async def test_a_late_decision_of_another_leaves_the_identity_to_the_owner(world: World) -> None:
    """I7 (refusal), N2: the run does nothing until its owner calls."""
    task_id = await world.left_waiting()
    async with (
        world.life("new") as client,
        MusterdClient(client.target, token=world.token("bob", APPROVER_SCOPES)) as bob,
    ):
        await bob.tasks.resolve(task_id, [Resolution.approve()])
        async with client.tasks.watch(task_id) as watch:
            async for event in watch:
                if isinstance(event, AuthRequired):
                    break
        waiting = await client.tasks.status(task_id)
        assert (waiting.state, world.till.paid) == (TaskState.AUTH_REQUIRED, [])
        await client.tasks.answer(task_id)
        text = await result_of(client, task_id)
        log = await log_of(client, task_id)
    assert (text, world.till.paid, world.tiers[-1]) == ("paid 3", [3], "new")
    assert sum(isinstance(event, AuthRenewed) for event in log) == 1
