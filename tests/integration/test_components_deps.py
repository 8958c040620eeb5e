"""The deps of a run: what its factory says, else the context that the factory got."""

from dataclasses import dataclass
from typing import Any

import pytest
from pydantic_ai import Agent, RunContext
from tests.support.scripted import call_then_say
from tests.support.tokens import AUTH, token

from musterd import AgentFactory, Built, FactoryPermissionError, Musterd, Prototype, RequestContext
from musterd.subagents import SubAgentConfig, create_subagent_toolset
from musterd.testing import serve
from musterd_client import MusterdClient, PermissionDeniedError


class Seer:
    """An agent with a tool that keeps the deps of each run."""

    def __init__(self) -> None:
        self.deps: list[Any] = []
        self.agent: Agent[Any, str] = Agent(call_then_say("look", "done"), name="shared", tools=[self.look])

    def look(self, ctx: RunContext[Any]) -> str:
        self.deps.append(ctx.deps)
        return "seen"

    async def run(self, client: MusterdClient, agent_id: str = "shared", **options: Any) -> Any:
        """Run an agent, and return the deps that its tool saw."""
        await client.run_agent(agent_id, "go", **options).result()
        return self.deps[-1]


@pytest.fixture
def seer() -> Seer:
    return Seer()


async def test_a_bare_prototype_gets_the_context_of_the_request(seer: Seer) -> None:
    """C11."""
    async with serve(Musterd(agents=[seer.agent]), auth=AUTH, token=token("ada", tier="gold")) as client:
        deps = await seer.run(client, session_id="s-1", factory_input={"a": 1})
    assert isinstance(deps, RequestContext)
    assert (deps.tenant_id, deps.user_id, deps.session_id, deps.input) == ("acme", "ada", "s-1", {"a": 1})
    assert deps.trusted.claims["tier"] == "gold"


async def test_a_bare_agent_of_a_factory_gets_the_context_that_the_factory_got(seer: Seer) -> None:
    """C11."""
    contexts: list[RequestContext] = []

    def build(context: RequestContext) -> Agent[Any, str]:
        contexts.append(context)
        return seer.agent

    async with serve(Musterd(agents=[AgentFactory("it", build)])) as client:
        assert await seer.run(client, "it") is contexts[0]


async def test_a_factory_may_give_deps_with_the_agent(seer: Seer) -> None:
    """C11."""

    def build(context: RequestContext) -> Built:
        return Built(seer.agent, deps={"task": context.task_id})

    async with serve(Musterd(agents=[AgentFactory("it", build)])) as client:
        deps = await seer.run(client, "it")
        assert [task.task_id async for task in client.tasks.list()] == [deps["task"]]


async def test_the_deps_of_a_prototype_are_made_for_each_run(seer: Seer) -> None:
    """C11."""

    def make(context: RequestContext) -> list[str]:
        return [context.user_id]

    async def make_later(context: RequestContext) -> str:
        return context.user_id

    later = Seer()
    later.agent.name = "later"
    agents = [Prototype(seer.agent, deps_factory=make), Prototype(later.agent, deps_factory=make_later)]
    async with serve(Musterd(agents=agents)) as client:
        for user_id in ("ada", "bob"):
            await seer.run(client, user_id=user_id)
        assert await later.run(client, "later", user_id="eve") == "eve"
    assert seer.deps == [["ada"], ["bob"]]


@dataclass(frozen=True)
class Purse:
    """Deps that a subagent gets less of."""

    depth: int = 9

    def clone_for_subagent(self, max_depth: int = 0) -> "Purse":
        return Purse(max_depth)


async def test_a_subagent_gets_deps_of_its_own_where_deps_can_be_cloned(seer: Seer) -> None:
    """C11: for as many levels as are left below it; else it shares those of its caller."""
    worker = SubAgentConfig(name="worker", description="works", instructions="", agent=seer.agent)
    subagents = create_subagent_toolset([worker], include_general_purpose=False, max_nesting_depth=3)
    arguments = '{"description": "do it", "subagent_type": "worker"}'
    boss: Agent[Any, str] = Agent(call_then_say("task", "done", arguments=arguments), name="boss", toolsets=[subagents])
    for made, got in ((Purse(), Purse(2)), ("shared", "shared")):
        async with serve(Musterd(agents=[Prototype(boss, deps_factory=lambda _, made=made: made)])) as client:
            assert await seer.run(client, "boss") == got


async def test_what_makes_deps_may_refuse_the_run(seer: Seer) -> None:
    """C7, C11 (refusal)."""

    def make(context: RequestContext) -> Any:
        raise FactoryPermissionError(f"no account for {context.user_id}")

    async with serve(Musterd(agents=[Prototype(seer.agent, deps_factory=make)])) as client:
        with pytest.raises(PermissionDeniedError, match="no account for ada"):
            await seer.run(client, user_id="ada")
        assert [task async for task in client.tasks.list()] == []


async def test_tenants_that_share_a_prototype_do_not_share_deps(seer: Seer) -> None:
    """C11, I5."""
    async with serve(Musterd(agents=[seer.agent]), auth=AUTH) as server:
        for tenant in ("acme", "initech"):
            async with MusterdClient(server.target, token=token("ada", tenant=tenant)) as client:
                assert (await seer.run(client)).tenant_id == tenant
