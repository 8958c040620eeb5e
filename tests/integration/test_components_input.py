"""The input of factories: checked before they are called, typed when they are."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from pydantic import BaseModel, ConfigDict, Field, SecretStr, field_validator
from pydantic_ai import Agent
from tests.support.gated_model import Gate, stopping

from musterd import AgentFactory, Musterd, RequestContext
from musterd.testing import serve
from musterd_client import InvalidArgumentError, MusterdClient, TaskState


class Empty(BaseModel):
    """Takes nothing in particular."""

    limit: int = 10


class Strict(BaseModel):
    """Types that JSON writes as text, in a model that converts nothing."""

    model_config = ConfigDict(strict=True)

    order: UUID
    at: datetime
    tags: frozenset[str]
    size: float


class Peculiar(BaseModel):
    """Fields that are not dumped as they were read."""

    password: SecretStr
    user: str = Field(validation_alias="userName")
    price_cents: int
    note: str = Field(default="", exclude=True)

    @field_validator("price_cents", mode="before")
    @classmethod
    def _parse_price(cls, value: object) -> object:
        """Take euros as text alone."""
        if not isinstance(value, str) or not value.endswith(" EUR"):
            raise ValueError("write it like 12.50 EUR")
        return round(float(value.removesuffix(" EUR")) * 100)


class Factory:
    """Keeps what it was called with, and builds an agent that stops in its model until told."""

    def __init__(self, schema: type[BaseModel] | None) -> None:
        self.inputs: list[Any] = []
        self.gate = Gate()
        self._schema = schema

    def build(self, context: RequestContext) -> Agent[RequestContext, str]:
        self.inputs.append(context.input)
        return Agent(stopping(self.gate), deps_type=RequestContext)

    @property
    def app(self) -> Musterd:
        return Musterd(agents=[AgentFactory("it", self.build, input_schema=self._schema)])

    async def call(self, client: MusterdClient, given: dict[str, Any] | None) -> Any:
        """Run the agent to its end, and return the input that the factory saw."""
        self.gate.open()
        await client.run_agent("it", "go", factory_input=given).result()
        return self.inputs[-1]


async def test_the_factory_reads_the_typed_model() -> None:
    """C6."""
    factory = Factory(Empty)
    async with serve(factory.app) as client:
        assert await factory.call(client, {"limit": 3}) == Empty(limit=3)
        assert await factory.call(client, {}) == Empty()
        assert await factory.call(client, None) == Empty()


async def test_a_factory_is_not_called_for_input_that_is_not_valid() -> None:
    """C6 (refusal)."""
    factory = Factory(Empty)
    async with serve(factory.app) as client:
        with pytest.raises(InvalidArgumentError, match="INVALID_INPUT"):
            await factory.call(client, {"limit": "all"})
        assert [task async for task in client.tasks.list()] == []
    assert factory.inputs == []


async def test_input_is_read_as_json_so_that_strict_models_can_be_filled() -> None:
    """C6: JSON has no dates, ids and sets."""
    factory = Factory(Strict)
    given = {"order": "01890000-0000-7000-8000-000000000000", "at": "2026-01-02T03:04:05Z", "tags": ["a"], "size": 2}
    async with serve(factory.app) as client:
        assert await factory.call(client, given) == Strict(
            order=UUID("01890000-0000-7000-8000-000000000000"),
            at=datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC),
            tags=frozenset({"a"}),
            size=2.0,
        )


@pytest.mark.parametrize("lives", [1, 2], ids=["first attempt", "after a restart"])
async def test_a_model_that_does_not_read_what_it_dumps_still_reads_the_input(tmp_path: Path, lives: int) -> None:
    """C6, C9: every attempt sees what the first one saw."""
    factory = Factory(Peculiar)
    given = {"password": "hunter2", "userName": "ada", "price_cents": "12.50 EUR", "note": "by hand"}
    async with serve(factory.app, folder=tmp_path) as client:
        task = await client.run_agent("it", "go", factory_input=given, background=True).start()
        await factory.gate.reached.wait()
        if lives == 1:
            factory.gate.open()
            await client.tasks.wait([task.task_id])
    if lives == 2:
        factory.gate.open()
        async with serve(factory.app, folder=tmp_path) as client:
            assert (await client.tasks.wait([task.task_id])).tasks[0].state is TaskState.COMPLETED
    assert len(factory.inputs) == lives
    for seen in factory.inputs:
        assert (seen.password.get_secret_value(), seen.user, seen.price_cents, seen.note) == (
            "hunter2",
            "ada",
            1_250,
            "by hand",
        )


async def test_a_task_whose_input_fits_no_more_fails_and_tells_why(tmp_path: Path) -> None:
    """C7, C9 (refusal): a deploy may have changed the schema."""
    before, after = Factory(None), Factory(Strict)
    async with serve(before.app, folder=tmp_path) as client:
        task = await client.run_agent("it", "go", factory_input={"order": 7}, background=True).start()
        await before.gate.reached.wait()
    async with serve(after.app, folder=tmp_path) as client:
        failed = (await client.tasks.wait([task.task_id])).tasks[0]
    assert failed.state is TaskState.FAILED
    assert failed.error is not None
    assert failed.error.reason == "INVALID_INPUT"
    assert "factory_input.order" in failed.error.message
    assert after.inputs == []


async def test_without_a_schema_the_factory_gets_the_object_as_it_came() -> None:
    """C6."""
    factory = Factory(None)
    given = {"text": "ß", "whole": 3, "half": 0.5, "yes": True, "nothing": None, "list": [1, [2, {"deep": 3}]], "": 0}
    async with serve(factory.app) as client:
        seen = await factory.call(client, given)
        assert seen == given
        assert [type(seen[key]) for key in ("whole", "half", "yes")] == [int, float, bool]
        assert type(seen["list"][1][1]["deep"]) is int
        assert await factory.call(client, None) == {}


async def test_a_validator_that_breaks_is_an_error_of_the_server_without_its_words() -> None:
    """C7."""

    class Broken(BaseModel):
        """Has a bug."""

        name: str

        @field_validator("name")
        @classmethod
        def _look_up(cls, value: str) -> str:
            return {"known": value}[f"hunter2-{value}"]

    factory = Factory(Broken)
    async with serve(factory.app) as client:
        with pytest.raises(Exception, match="INTERNAL") as caught:
            await factory.call(client, {"name": "ada"})
        assert [task async for task in client.tasks.list()] == []
    assert "hunter2" not in str(caught.value)
    assert factory.inputs == []
