"""Factories of every form: called once an attempt, and off the event loop when they could block it."""

import asyncio
import functools
import threading
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from pydantic_ai import Agent
from tests.support.gated_model import saying

from musterd import AgentFactory, Musterd, RequestContext
from musterd.testing import serve
from musterd_client import MusterdClient

AnyAgent = Agent[Any, str]


def agent(said: str = "built") -> AnyAgent:
    return Agent(saying(said))


def app_of(*factories: AgentFactory) -> Musterd:
    return Musterd(agents=factories)


async def outcome(client: MusterdClient, agent_id: str) -> str:
    return (await client.run_agent(agent_id, "go").result()).output.text


class Recipe:
    """Callable objects, methods and partials that build, and the thread that each of them ran in."""

    def __init__(self) -> None:
        self.thread: threading.Thread | None = None
        self.calls = 0

    def _note(self) -> AnyAgent:
        self.calls += 1
        self.thread = threading.current_thread()
        return agent()

    def sync(self, context: RequestContext) -> AnyAgent:
        return self._note()

    async def coroutine(self, context: RequestContext) -> AnyAgent:
        return self._note()

    def awaitable(self, context: RequestContext) -> Awaitable[AnyAgent]:
        return self.coroutine(context)

    @asynccontextmanager
    async def manager(self, context: RequestContext) -> AsyncGenerator[AnyAgent]:
        yield self._note()

    def with_more(self, more: str, context: RequestContext, *, most: int) -> AnyAgent:
        return self._note()

    async def coroutine_with_more(self, more: str, context: RequestContext) -> AnyAgent:
        return self._note()

    def __call__(self, context: RequestContext) -> AnyAgent:
        return self._note()


class AsyncRecipe(Recipe):
    """A callable object whose call is a coroutine."""

    async def __call__(self, context: RequestContext) -> AnyAgent:  # pyright: ignore[reportIncompatibleMethodOverride]
        return self._note()


def plain(recipe: Recipe) -> Callable[[RequestContext], AnyAgent]:
    def build(context: RequestContext) -> AnyAgent:
        return recipe.sync(context)

    return build


FORMS: dict[str, tuple[Callable[[Recipe], Any], bool]] = {
    "a sync function": (plain, False),
    "a sync method": (lambda recipe: recipe.sync, False),
    "a callable object": (lambda recipe: recipe, False),
    "a partial": (lambda recipe: functools.partial(recipe.with_more, "more", most=1), False),
    "a coroutine function": (lambda recipe: recipe.coroutine, True),
    "a partial of a coroutine function": (lambda recipe: functools.partial(recipe.coroutine_with_more, "more"), True),
    "a sync function that returns an awaitable": (lambda recipe: recipe.awaitable, True),
    "an async context manager": (lambda recipe: recipe.manager, True),
}


@pytest.mark.parametrize("form", FORMS)
async def test_each_form_of_factory_builds_and_only_what_is_sync_leaves_the_loop(form: str) -> None:
    """C3."""
    make, is_on_loop = FORMS[form]
    recipe = Recipe()
    async with serve(app_of(AgentFactory("it", make(recipe)))) as client:
        assert await outcome(client, "it") == "built"
    assert recipe.calls == 1
    assert (recipe.thread is threading.current_thread()) is is_on_loop


async def test_a_callable_object_whose_call_is_a_coroutine_stays_on_the_loop() -> None:
    """C3."""
    recipe = AsyncRecipe()
    async with serve(app_of(AgentFactory("it", recipe), AgentFactory("part", functools.partial(recipe)))) as client:
        for agent_id in ("it", "part"):
            assert await outcome(client, agent_id) == "built"
            assert recipe.thread is threading.current_thread()


async def test_a_factory_that_blocks_does_not_hold_up_the_server() -> None:
    """C3."""
    entered, release = threading.Event(), threading.Event()

    def block(context: RequestContext) -> AnyAgent:
        entered.set()
        assert release.wait(30)
        return agent("at last")

    async with serve(
        app_of(AgentFactory("slow", block), AgentFactory("quick", lambda _: agent("meanwhile")))
    ) as client:
        blocked = asyncio.create_task(outcome(client, "slow"))
        assert await asyncio.to_thread(entered.wait, 30)
        assert await outcome(client, "quick") == "meanwhile"
        assert not blocked.done()
        release.set()
        assert await blocked == "at last"


async def test_the_id_of_the_factory_wins_over_the_name_of_what_it_builds() -> None:
    """C4."""
    factory = AgentFactory("helpdesk", lambda _: Agent(saying("built"), name="other"), name="Help desk")
    async with serve(app_of(factory)) as client:
        async with client.run_agent("helpdesk", "go") as run:
            events = [event async for event in run]
        assert run.task.component.id == "helpdesk"
        assert {event.component.id for event in events} == {"helpdesk"}
        assert [each.agent_id async for each in client.agents.list()] == ["helpdesk"]
