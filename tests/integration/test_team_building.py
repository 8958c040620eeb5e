"""What teams are made of: teams in teams, whose model they run on, and factories that build them for a caller."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any, cast

import pytest
from pydantic_ai import Agent, RunContext
from structlog.testing import capture_logs
from tests.support.actors import Actor, Answer, Reading, add_todo, delegate, saying, steps, what_came
from tests.support.tokens import AUTH, TASK_SCOPES, token

from musterd import (
    AgentFactory,
    Built,
    FactoryPermissionError,
    Musterd,
    Prototype,
    RequestContext,
    Team,
    TeamFactory,
)
from musterd.testing import serve
from musterd_client import (
    CallError,
    ComponentKind,
    MusterdClient,
    PermissionDeniedError,
    ServerFailedError,
    TaskFailedError,
    TaskState,
    TeamMode,
)

SCOPES = f"teams:run {TASK_SCOPES}"


async def tree_of(client: MusterdClient, task_id: str) -> dict[str, tuple[ComponentKind, str, TaskState]]:
    """Return the tasks of a tree by the name of what they run: kind, their parent's name, state."""
    tasks = {task.task_id: task async for task in client.tasks.list(root_task_id=task_id)}
    names = {each: task.component.id for each, task in tasks.items()}
    return {
        task.component.id: (task.component.kind, names.get(task.parent_task_id, ""), task.state)
        for task in tasks.values()
    }


async def test_teams_in_teams_work_on_three_levels() -> None:
    """T1: each in its own mode, with a board of its own, and all in one stream."""

    async def plan(reading: Reading) -> Answer:
        match reading.turn:
            case 1:
                return [add_todo("weld")]
            case 2:
                return "planned"
            case _:
                return reading.prompts[-1].splitlines()[-1]

    welder = saying("welded")
    shop = Team("shop", [welder.member("welder")], model=steps([delegate("welder", "weld it")]).model, mode="route")
    plant = Team("plant", [shop], model=Actor(plan).model, mode="tasks")
    firm = Team("firm", [plant], model=steps([delegate("plant", "a ship")], what_came).model)
    async with serve(Musterd(teams=[firm])) as client:
        async with client.run_team("firm", "build a ship") as run:
            events = [event async for event in run]
        tree = await tree_of(client, run.task.task_id)
        result = await client.tasks.status(run.task.task_id)
        boards = {
            event.component.id: (await client.teams.board(event.task_id)).team
            for event in events
            if event.component.kind is ComponentKind.TEAM
        }
    assert tree == {
        "firm": (ComponentKind.TEAM, "", TaskState.COMPLETED),
        "plant": (ComponentKind.TEAM, "firm", TaskState.COMPLETED),
        "shop": (ComponentKind.TEAM, "plant", TaskState.COMPLETED),
        "welder": (ComponentKind.MEMBER, "shop", TaskState.COMPLETED),
    }
    assert result.output is not None
    assert result.output.text == "- weld [completed]: welded"
    assert {event.component.id for event in events} == set(tree)
    assert boards == {"firm": "firm", "plant": "plant", "shop": "shop"}
    ended = [event.component.id for event in events if event.kind == "task_completed"]
    assert ended == ["welder", "shop", "plant", "firm"]


async def test_who_has_no_model_runs_on_that_of_the_team_above() -> None:
    """T1: members and leaders of nested teams."""
    asked: list[str] = []

    async def answer(reading: Reading) -> Answer:
        asked.append(reading.instructions.partition(".")[0])
        target = {"You lead the team 'outer'": "inner", "You lead the team 'inner'": "ann"}.get(asked[-1])
        return [delegate(target, "it")] if target and not reading.returns else "said"

    inner = Team("inner", [Agent(None, name="ann")])
    async with serve(Musterd(teams=[Team("outer", [inner], model=Actor(answer).model)])) as client:
        assert (await client.run_team("outer", "go").result()).text == "said"
    assert asked == [
        "You lead the team 'outer'",
        "You lead the team 'inner'",
        "You are 'ann' in the team 'inner'",
        "You lead the team 'inner'",
        "You lead the team 'outer'",
    ]


async def test_a_team_without_a_model_says_what_it_needs() -> None:
    """T1."""
    team = Team("mute", [saying("x").member("ann")])
    async with serve(Musterd(teams=[team])) as client:
        with pytest.raises(TaskFailedError) as failed:
            await client.run_team("mute", "go").result()
    assert failed.value.reason == "FACTORY_FAILED"
    assert failed.value.error.message == "the team 'mute' has no model for its leader: make it with Team(…, model=…)"


class Reviews:
    """A factory that gives callers of the gold tier a second reviewer, and refuses who has no tier."""

    def __init__(self) -> None:
        self.calls = 0

    @property
    def app(self) -> Musterd:
        return Musterd(teams=[TeamFactory("reviews", self.build, description="reviews it")])

    def build(self, context: RequestContext) -> Team:
        self.calls += 1
        tier = context.trusted.claims.get("tier")
        if tier is None:
            raise FactoryPermissionError("customers only")
        names = ["first", "second"] if tier == "gold" else ["first"]
        members = [saying(f"{name} for {context.user_id}").member(name) for name in names]
        leader = steps([delegate(name, "review") for name in names], what_came)
        return Team("whatever", members, model=leader.model)

    @asynccontextmanager
    async def serving(self, **claims: Any) -> AsyncGenerator[MusterdClient]:
        """Serve the app to one caller with these claims."""
        async with serve(self.app, auth=AUTH, token=token("ada", scopes=SCOPES, **claims)) as client:
            yield client


@pytest.mark.parametrize(("tier", "said"), [("gold", "first for ada | second for ada"), ("silver", "first for ada")])
async def test_a_claim_decides_how_many_review(tier: str, said: str) -> None:
    """C2, C10: the factory reads the token's claims, and is called once."""
    reviews = Reviews()
    async with reviews.serving(tier=tier) as client:
        async with client.run_team("reviews", "go") as run:
            events = [event async for event in run]
        board = await client.teams.board(run.task.task_id)
    assert run.text == said
    assert reviews.calls == 1
    assert [member.name for member in board.members] == ["first", "second"][: len(board.members)]
    assert len(board.members) == said.count(" for ")
    # C4: the id of the factory wins over the name of what it builds.
    assert {event.component.id for event in events if event.task_id == run.task.task_id} == {"reviews"}


async def test_a_factory_that_refuses_leaves_no_task() -> None:
    """C7 (refusal): of a team as of an agent."""
    reviews = Reviews()
    async with reviews.serving() as client:
        with pytest.raises(PermissionDeniedError, match="customers only"):
            await client.run_team("reviews", "go").result()
        assert [task async for task in client.tasks.list()] == []


async def test_looking_for_teams_calls_no_factory() -> None:
    """C8: its mode and members are not known in advance."""
    reviews = Reviews()
    async with reviews.serving(tier="gold") as client:
        (listed,) = [team async for team in client.teams.list()]
        got = await client.teams.get("reviews")
    assert listed == got
    assert (got.team_id, got.description, got.is_factory) == ("reviews", "reviews it", True)
    assert (got.mode, got.members) == (TeamMode.UNKNOWN, ())
    assert reviews.calls == 0


@pytest.mark.parametrize(
    "made",
    [None, "a team", Team, Agent(saying("x").model, name="x"), Built(Agent(saying("x").model, name="x"))],
    ids=["nothing", "a text", "a class", "an agent", "an agent, built"],
)
async def test_what_is_no_team_is_told_to_the_log_alone(made: Any) -> None:
    """C4 (refusal)."""
    with capture_logs() as logs:
        async with serve(Musterd(teams=[TeamFactory("it", lambda _: made)])) as client:
            with pytest.raises(ServerFailedError) as failed:
                await client.run_team("it", "go").result()
    error = cast("CallError", failed.value)
    assert (error.reason, "Team" in error.message) == ("FACTORY_FAILED", False)
    (entry,) = [entry for entry in logs if entry.get("error_id") == error.metadata["error_id"]]
    assert "the factory 'it' must return a Team (or Built), but returned" in entry["exception"]


async def test_a_factory_builds_the_team_and_its_deps_asynchronously_and_takes_them_down() -> None:
    """C3, C11: members get the deps; the context ends with the attempt."""
    happened: list[str] = []

    async def peek(ctx: RunContext[Any]) -> str:
        happened.append(f"{ctx.deps} is used")
        return "seen"

    @asynccontextmanager
    async def build(context: RequestContext) -> AsyncGenerator[Built]:
        member = steps([("peek", {})], "done").member("ann", "", peek)
        yield Built(Team("t", [member], model=steps([delegate("ann", "it")], what_came).model), deps="the database")
        happened.append("taken down")

    async with serve(Musterd(teams=[TeamFactory("it", build)])) as client:
        await client.run_team("it", "go").result()
    assert happened == ["the database is used", "taken down"]


@pytest.mark.parametrize(
    "factory", [AgentFactory("f", lambda _: None), TeamFactory("f", lambda _: None)], ids=["agent", "team"]
)
def test_a_factory_is_no_member(factory: Any) -> None:
    """C5 (refusal): refused when the team is built, with what to do instead."""
    with pytest.raises(TypeError, match=r"members\[1\] is a \w+Factory.*register a TeamFactory"):
        Team("t", [saying("x").member("x"), factory], model=saying("x").model)


@pytest.mark.parametrize(
    "team",
    [Prototype(saying("x").member("x")), saying("x").member("x"), AgentFactory("f", lambda _: None)],
    ids=["a prototype of an agent", "an agent", "a factory of agents"],
)
def test_what_is_no_team_cannot_be_registered_as_one(team: Any) -> None:
    """C1 (refusal)."""
    with pytest.raises(TypeError, match=r"teams=\[…\] takes Team, Prototype and TeamFactory objects, not \w+"):
        Musterd(teams=[team])


def test_two_teams_need_two_ids() -> None:
    """C1: whether one is a factory or not; an agent and a team may share one."""
    twin = Team("it", [saying("x").member("x")], model=saying("x").model)
    with pytest.raises(ValueError, match="two teams have the id 'it'"):
        Musterd(teams=[twin, TeamFactory("it", lambda _: twin)])
    Musterd(agents=[saying("x").member("it")], teams=[twin])


def test_a_team_factory_needs_an_id() -> None:
    """C2 (refusal)."""
    with pytest.raises(ValueError, match="needs an id"):
        TeamFactory("", lambda _: None)
