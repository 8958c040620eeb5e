"""examples/research_team.py, served to callers of several tiers."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta

import jwt
import pytest
from examples.research_team import app, main, make_app, play

from musterd.domain.task import ComponentKind
from musterd.testing import serve
from musterd.testing.model import FakeModel
from musterd_client import (
    Event,
    InvalidArgumentError,
    ModelRequestStarted,
    MusterdClient,
    PermissionDeniedError,
    SubtaskEnded,
    SubtaskStarted,
    TeamMode,
)

SECRET = "a secret of at least thirty-two bytes"
TOPIC = {"topic": "rainwear"}


@asynccontextmanager
async def serve_to(tier: str) -> AsyncGenerator[tuple[MusterdClient, FakeModel]]:
    claims = {"sub": "ada", "tier": tier, "scope": "teams:run", "exp": datetime.now(UTC) + timedelta(minutes=5)}
    token = jwt.encode(claims, SECRET, algorithm="HS256")
    async with (
        FakeModel(play) as model,
        serve(make_app(model.as_model), token=token, auth={"mode": "jwt", "secret": SECRET}) as client,
    ):
        yield client, model


async def events_for(tier: str) -> tuple[list[Event], FakeModel]:
    async with (
        serve_to(tier) as (client, model),
        client.run_team("research", "What sells?", factory_input=TOPIC) as run,
    ):
        return [event async for event in run], model


@pytest.mark.parametrize(
    ("tier", "chosen", "members"),
    [("free", "gpt-5-mini", ["web"]), ("gold", "gpt-5", ["web", "papers", "figures", "reviewer"])],
)
async def test_the_tier_claim_chooses_the_members_and_their_model(tier: str, chosen: str, members: list[str]) -> None:
    """C10: a team too is built for who is calling."""
    events, model = await events_for(tier)
    assert sorted(each.subtask.id for each in events if isinstance(each, SubtaskStarted)) == sorted(members)
    assert {each.model for each in events if isinstance(each, ModelRequestStarted)} == {chosen}
    assert {request.model for request in model.requests} == {chosen}


async def test_the_reviewer_of_the_gold_tier_sees_the_draft_when_the_research_is_done() -> None:
    """C10, T1: members work side by side where the leader asks them at once."""
    events, model = await events_for("gold")
    turns = [each for each in events if isinstance(each, SubtaskStarted | SubtaskEnded)]
    order = [("start" if isinstance(each, SubtaskStarted) else "end", each.subtask.id) for each in turns]
    assert {name for _, name in order[:6]} == {"web", "papers", "figures"}
    assert order[6:] == [("start", "reviewer"), ("end", "reviewer")]
    assert "Review this draft: Umbrellas sell best in autumn." in [request.prompt for request in model.requests]


async def test_the_members_know_what_the_factory_was_given() -> None:
    """C6, T1."""
    _, model = await events_for("free")
    (asked,) = [request for request in model.requests if "delegate_to_member" not in request.tool_names]
    assert "The topic is rainwear." in asked.instructions


async def test_the_team_is_listed_without_being_built() -> None:
    """C8: what it is made of is not known before somebody runs it."""
    async with serve_to("gold") as (client, model):
        (team,) = [team async for team in client.teams.list()]
    assert (team.team_id, team.is_factory, team.mode, team.members) == ("research", True, TeamMode.UNKNOWN, ())
    assert model.requests == ()


async def test_an_unknown_tier_is_refused_before_there_is_a_task() -> None:
    """C7, C10 (refusal)."""
    async with serve_to("platinum") as (client, _):
        with pytest.raises(PermissionDeniedError, match="the tier 'platinum' has no team") as refusal:
            await client.run_team("research", "What sells?", factory_input=TOPIC).result()
    assert refusal.value.reason == "FACTORY_PERMISSION_DENIED"


async def test_input_that_does_not_fit_names_its_field() -> None:
    """C6 (refusal)."""
    async with serve_to("gold") as (client, _):
        with pytest.raises(InvalidArgumentError) as refusal:
            await client.run_team("research", "What sells?").result()
    assert [violation.path for violation in refusal.value.violations] == ["factory_input.topic"]


async def test_the_example_runs_without_a_key(capsys: pytest.CaptureFixture[str]) -> None:
    """C10: also the app with the models of a provider is made without one."""
    await main()
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "free: web: Umbrellas sell best in autumn."
    assert lines[1].endswith("reviewer: Umbrellas sell best in autumn. The draft is sound.")
    assert [info.ref.id for info in app.registry.list(ComponentKind.TEAM)] == ["research"]
