"""Identity over time: a run keeps the one that it was accepted with, until it is taken up again too late."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from pydantic_ai import Agent
from tests.support.clocks import DrivenClock
from tests.support.gated_model import Gate, stopping
from tests.support.tokens import AUTH, token

from musterd import AgentFactory, Musterd, RequestContext
from musterd.store.sqlite import SqliteStore
from musterd.testing import serve
from musterd_client import (
    AuthRenewed,
    AuthRequired,
    CancelOutcome,
    Event,
    MusterdClient,
    NotFoundError,
    PermissionDeniedError,
    PreconditionFailedError,
    Steered,
    SteerOutcome,
    TaskState,
)

MAX_AGE_SECONDS = 3_600
RUN_TIMEOUT_SECONDS = 86_400
ADMIN = "musterd:admin"


class World:
    """One database and one clock over several lives of a server, whose agent stops in its model until told."""

    def __init__(self, folder: Path) -> None:
        self.clock = DrivenClock()
        self.gate = Gate()
        self.contexts: list[RequestContext] = []
        self._folder = folder

    def build(self, context: RequestContext) -> Agent[RequestContext, str]:
        self.contexts.append(context)
        return Agent(stopping(self.gate, before=("so ", "far")), deps_type=RequestContext)

    def token(self, user: str = "ada", **claims: Any) -> str:
        """Return a token that was issued this moment."""
        return token(user, at=self.clock.now(), **claims)

    @asynccontextmanager
    async def life(self) -> AsyncGenerator[MusterdClient]:
        """Serve until the block ends, and give the owner's client."""
        app = Musterd(agents=[AgentFactory("slow", self.build)])
        store = SqliteStore(self._folder / "musterd.db", self.clock.now)
        auth = {**AUTH, "snapshot_max_age_seconds": MAX_AGE_SECONDS}
        caller = self.token(tier="new")
        async with serve(app, folder=self._folder, store=store, clock=self.clock, auth=auth, token=caller) as client:
            yield client

    async def begin(self, client: MusterdClient, run_timeout_seconds: float = RUN_TIMEOUT_SECONDS) -> str:
        """Start a run that stops in its model, and return the id of its task."""
        run = client.run_agent("slow", "go", background=True, run_timeout_seconds=run_timeout_seconds)
        task = await run.start()
        await self.gate.reached.wait()
        return task.task_id

    async def left_behind(self) -> str:
        """Start a run for ada whose token says that her tier is old, and stop the server in the middle of it."""
        async with self.life() as server, MusterdClient(server.target, token=self.token(tier="old")) as client:
            return await self.begin(client)

    async def parked(self) -> str:
        """Leave a run behind, let its identity grow too old, and have a server take it up."""
        task_id = await self.left_behind()
        self.clock.advance(MAX_AGE_SECONDS)
        async with self.life() as client:
            waited = await client.tasks.wait([task_id])
            assert waited.input_required_task_ids == (task_id,)
        return task_id


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


async def log_of(client: MusterdClient, task_id: str) -> list[Event]:
    return [event async for event in client.tasks.watch(task_id)]


async def test_a_task_taken_up_too_late_waits_for_its_owner(world: World) -> None:
    """I7: and who waits for it learns that at once."""
    started_at = world.clock.now()
    task_id = await world.left_behind()
    world.clock.advance(MAX_AGE_SECONDS)
    async with world.life() as client:
        waited = await client.tasks.wait([task_id], timeout_seconds=3_000)
        async with client.tasks.watch(task_id) as watch:
            async for event in watch:
                if isinstance(event, AuthRequired):
                    break
            else:
                pytest.fail("the log does not tell that the task waits")
    assert (waited.timed_out, waited.input_required_task_ids, waited.pending_task_ids) == (
        False,
        (task_id,),
        (task_id,),
    )
    assert waited.tasks[0].state is TaskState.AUTH_REQUIRED
    assert event.expire_time == started_at + timedelta(seconds=MAX_AGE_SECONDS)
    assert len(world.contexts) == 1


async def test_it_goes_on_under_the_identity_that_its_owner_gives_it(world: World) -> None:
    """I7."""
    task_id = await world.parked()
    async with world.life() as client:
        assert (await client.tasks.status(task_id)).state is TaskState.AUTH_REQUIRED
        answered = await client.tasks.answer(task_id)
        assert answered.state is TaskState.SUBMITTED
        world.gate.open()
        waited = await client.tasks.wait([task_id])
        log = await log_of(client, task_id)
    assert waited.tasks[0].state is TaskState.COMPLETED
    assert waited.tasks[0].output is not None
    assert waited.tasks[0].output.text == "so fardone"
    assert [context.trusted.claims["tier"] for context in world.contexts] == ["old", "new"]
    assert [event.user_id for event in log if isinstance(event, AuthRenewed)] == ["ada"]
    assert [event.sequence for event in log] == list(range(1, len(log) + 1))


async def test_a_task_taken_up_in_time_goes_on_by_itself(world: World) -> None:
    """I7."""
    task_id = await world.left_behind()
    world.clock.advance(MAX_AGE_SECONDS - 1)
    world.gate.open()
    async with world.life() as client:
        waited = await client.tasks.wait([task_id])
    assert waited.tasks[0].state is TaskState.COMPLETED
    assert [context.trusted.claims["tier"] for context in world.contexts] == ["old", "old"]


async def test_a_task_that_runs_keeps_its_identity_however_long_it_runs(world: World) -> None:
    """I7: its token has expired, and its snapshot is too old to be resumed."""
    async with world.life() as server, MusterdClient(server.target, token=world.token(lifetime_seconds=60)) as client:
        task_id = await world.begin(client)
        world.clock.advance(MAX_AGE_SECONDS * 2)
        world.gate.open()
        async with MusterdClient(server.target, token=world.token()) as later:
            waited = await later.tasks.wait([task_id])
    assert waited.tasks[0].state is TaskState.COMPLETED


async def test_it_goes_on_waiting_over_another_restart(world: World) -> None:
    """I7."""
    task_id = await world.parked()
    async with world.life() as client:
        assert (await client.tasks.status(task_id)).state is TaskState.AUTH_REQUIRED
    async with world.life() as client:
        log = await log_so_far(client, task_id)
    assert sum(isinstance(event, AuthRequired) for event in log) == 1


async def log_so_far(client: MusterdClient, task_id: str) -> list[Event]:
    """Return what is in the log of a task that goes on."""
    last_sequence = (await client.tasks.status(task_id)).last_sequence
    events: list[Event] = []
    async with client.tasks.watch(task_id) as watch:
        while len(events) < last_sequence:
            events.append(await anext(watch))
    return events


@pytest.mark.parametrize(
    ("user", "claims", "error"),
    [
        pytest.param("root", {"scopes": ADMIN}, PermissionDeniedError, id="an administrator"),
        pytest.param("bob", {}, NotFoundError, id="another user"),
        pytest.param("ada", {"tenant": "initech"}, NotFoundError, id="the same user id in another tenant"),
        pytest.param("bob", {"scopes": "tasks:write musterd:impersonate"}, NotFoundError, id="who may impersonate"),
        pytest.param("ada", {"scopes": "tasks:read"}, PermissionDeniedError, id="the owner without the scope"),
    ],
)
async def test_nobody_lends_it_another_identity(
    world: World, user: str, claims: dict[str, Any], error: type[Exception]
) -> None:
    """I3, I7 (refusal): an administrator's claims would be more than its owner's."""
    task_id = await world.parked()
    async with world.life() as owner, MusterdClient(owner.target, token=world.token(user, **claims)) as stranger:
        with pytest.raises(error):
            await stranger.tasks.answer(task_id)
        assert (await owner.tasks.status(task_id)).state is TaskState.AUTH_REQUIRED
    assert len(world.contexts) == 1


async def test_an_administrator_who_may_impersonate_acts_for_its_owner(world: World) -> None:
    """I3, I7: the log tells who it was."""
    task_id = await world.parked()
    world.gate.open()
    caller = world.token("root", scopes=f"{ADMIN} musterd:impersonate", tier="root's")
    async with world.life() as owner, MusterdClient(owner.target, token=caller) as admin:
        await admin.tasks.answer(task_id)
        waited = await owner.tasks.wait([task_id])
        log = await log_of(owner, task_id)
    assert waited.tasks[0].state is TaskState.COMPLETED
    assert (world.contexts[-1].user_id, world.contexts[-1].trusted.claims["tier"]) == ("ada", "root's")
    assert [event.user_id for event in log if isinstance(event, AuthRenewed)] == ["root"]


async def test_it_is_answered_once(world: World) -> None:
    """I7, R8."""
    task_id = await world.parked()
    async with world.life() as client:
        await client.tasks.answer(task_id, request_id="a-1")
        assert (await client.tasks.answer(task_id, request_id="a-1")).task_id == task_id
        with pytest.raises(PreconditionFailedError, match="TASK_NOT_WAITING"):
            await client.tasks.answer(task_id, request_id="a-2")


async def test_an_answer_to_a_question_is_not_taken_for_an_identity(world: World) -> None:
    """I7, R7: it would be lost without a word."""
    task_id = await world.parked()
    async with world.life() as client:
        with pytest.raises(PreconditionFailedError, match="TASK_NOT_WAITING"):
            await client.tasks.answer(task_id, question_id="q-1", answer="42")
        assert (await client.tasks.status(task_id)).state is TaskState.AUTH_REQUIRED


async def test_it_can_be_canceled_while_it_waits(world: World) -> None:
    """I7, R5."""
    task_id = await world.parked()
    async with world.life() as client:
        canceled = await client.tasks.cancel(task_id, reason="never mind")
        assert (canceled.outcome, canceled.task.state) == (CancelOutcome.CANCELED, TaskState.CANCELED)
        with pytest.raises(PreconditionFailedError, match="TASK_NOT_WAITING"):
            await client.tasks.answer(task_id)


async def test_a_task_that_was_being_canceled_is_canceled_however_old_its_identity_is(world: World) -> None:
    """I7, R5: to stop needs nobody's identity."""
    async with world.life() as client:
        task_id = await world.begin(client)
        canceling = await client.tasks.cancel(task_id, grace_seconds=3_000, reason="enough")
        assert canceling.task.state is TaskState.CANCELING
    world.clock.advance(MAX_AGE_SECONDS)
    async with world.life() as client:
        waited = await client.tasks.wait([task_id])
    assert waited.tasks[0].state is TaskState.CANCELED


async def test_a_message_that_came_while_it_waited_is_not_lost(world: World) -> None:
    """I7, R6."""
    task_id = await world.parked()
    world.gate.open()
    async with world.life() as client:
        assert (await client.tasks.steer(task_id, "hello?", wait_timeout_seconds=0)).outcome is SteerOutcome.PENDING
        await client.tasks.answer(task_id)
        waited = await client.tasks.wait([task_id])
        log = await log_of(client, task_id)
    assert waited.tasks[0].state is TaskState.COMPLETED
    assert [event.message for event in log if isinstance(event, Steered)] == ["hello?"]


async def test_what_a_factory_does_to_the_claims_stays_with_that_attempt(world: World) -> None:
    """C3, I7."""
    build = world.build

    def careless(context: RequestContext) -> Agent[RequestContext, str]:
        agent = build(context)
        assert context.trusted.claims["tier"] == "old"
        dict_of_claims: Any = context.trusted.claims
        dict_of_claims["tier"] = "gold"
        return agent

    world.build = careless
    task_id = await world.left_behind()
    world.gate.open()
    async with world.life() as client:
        assert (await client.tasks.wait([task_id])).tasks[0].state is TaskState.COMPLETED


async def test_the_time_that_it_waited_is_not_counted(world: World) -> None:
    """I7, R10: its time begins again with the identity that it is given."""
    async with world.life() as client:
        task_id = await world.begin(client, run_timeout_seconds=MAX_AGE_SECONDS / 2)
    world.clock.advance(MAX_AGE_SECONDS)
    async with world.life() as client:
        await client.tasks.wait([task_id])
        await client.tasks.answer(task_id)
        world.gate.open()
        waited = await client.tasks.wait([task_id])
    assert waited.tasks[0].state is TaskState.COMPLETED


async def test_without_tokens_no_identity_grows_too_old(tmp_path: Path) -> None:
    """I7: there is nothing that could be renewed."""
    world = World(tmp_path)
    app = Musterd(agents=[AgentFactory("slow", world.build)])

    @asynccontextmanager
    async def open_life() -> AsyncGenerator[MusterdClient]:
        store = SqliteStore(tmp_path / "musterd.db", world.clock.now)
        async with serve(app, folder=tmp_path, store=store, clock=world.clock) as client:
            yield client

    async with open_life() as client:
        task_id = await world.begin(client)
    world.clock.advance(RUN_TIMEOUT_SECONDS - 1)
    world.gate.open()
    async with open_life() as client:
        waited = await client.tasks.wait([task_id])
    assert waited.tasks[0].state is TaskState.COMPLETED
