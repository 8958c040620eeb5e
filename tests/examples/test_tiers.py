"""examples/tiers.py, served to callers of several tiers."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta

import jwt
import pytest
from examples.tiers import app

from musterd.testing import serve
from musterd_client import (
    Event,
    InvalidArgumentError,
    ModelRequestStarted,
    MusterdClient,
    PermissionDeniedError,
    ToolCallCompleted,
)

SECRET = "a secret of at least thirty-two bytes"
TOPIC = {"topic": "rainwear"}


@asynccontextmanager
async def serve_to(tier: str | None) -> AsyncGenerator[MusterdClient]:
    claims = {"sub": "ada", "scope": "agents:run", "exp": datetime.now(UTC) + timedelta(minutes=5)}
    token = jwt.encode(claims if tier is None else claims | {"tier": tier}, SECRET, algorithm="HS256")
    async with serve(app, token=token, auth={"mode": "jwt", "secret": SECRET}) as client:
        yield client


async def events_for(tier: str | None) -> list[Event]:
    async with serve_to(tier) as client, client.run_agent("advisor", "What now?", factory_input=TOPIC) as run:
        return [event async for event in run]


@pytest.mark.parametrize(("tier", "model"), [("gold", "large"), ("free", "small"), (None, "small")])
async def test_the_tier_claim_chooses_the_model(tier: str | None, model: str) -> None:
    """C10."""
    events = await events_for(tier)
    assert {event.model for event in events if isinstance(event, ModelRequestStarted)} == {model}


async def test_only_the_gold_tier_has_its_answers_reviewed() -> None:
    """C10."""
    gold = [event.result_json for event in await events_for("gold") if isinstance(event, ToolCallCompleted)]
    free = [event for event in await events_for("free") if isinstance(event, ToolCallCompleted)]
    assert gold == ['"The draft is sound."']
    assert free == []


async def test_an_unknown_tier_is_refused_before_there_is_a_task() -> None:
    """C7, C10 (refusal)."""
    async with serve_to("platinum") as client:
        with pytest.raises(PermissionDeniedError, match="the tier 'platinum' has no agent") as refusal:
            await client.run_agent("advisor", "What now?", factory_input=TOPIC).result()
    assert refusal.value.reason == "FACTORY_PERMISSION_DENIED"


async def test_input_that_does_not_fit_names_its_field() -> None:
    """C6 (refusal)."""
    async with serve_to("gold") as client:
        with pytest.raises(InvalidArgumentError) as refusal:
            await client.run_agent("advisor", "What now?").result()
    assert [violation.path for violation in refusal.value.violations] == ["factory_input.topic"]
