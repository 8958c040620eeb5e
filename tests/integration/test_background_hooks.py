"""Hooks in the background: after the terminal event, again when they fail, and never in anybody's way."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from pydantic_ai import Agent
from pydantic_ai.messages import ModelRequest, ModelResponse
from tests.support.gated_model import Gate, saying, stopping
from tests.support.hook_runs import logged, settled, told
from tests.support.tokens import AUTH, token

from musterd import (
    AgentFactory,
    InputCheckError,
    Musterd,
    Prototype,
    RequestContext,
    RunInput,
    RunOutput,
    Team,
    TeamFactory,
    Workflow,
    WorkflowFactory,
    hook,
)
from musterd.testing import serve
from musterd_client import (
    CancelMode,
    HookFailed,
    HookPhase,
    HookRunState,
    HookStarted,
    MusterdClient,
    NotFoundError,
    PermissionDeniedError,
    PreconditionFailedError,
    ServerFailedError,
    TaskCanceled,
    TaskCompleted,
    TaskFailed,
)

background = hook(run_in_background=True)
QUICK = {"hook_retry_initial_delay_seconds": 0, "hook_retry_max_delay_seconds": 0}


def agent(**hooks: Any) -> Prototype:
    return Prototype(Agent(saying("done"), name="agent"), **hooks)


async def run_of(client: MusterdClient, name: str = "agent") -> str:
    """Run an agent to its end, and return its task's id."""
    return (await client.run_agent(name, "hello").result()).task.task_id


async def test_a_background_hook_runs_after_the_terminal_event() -> None:
    """H2: which nobody waits for it to get; measured by the order of the log."""
    gate, seen = Gate(), list[Any]()

    @background
    async def audit(run_output: RunOutput, context: RequestContext, agent: Any, task: Any) -> None:
        seen.append((run_output.content, context.user_id, agent.name, task.state))
        assert [type(message) for message in run_output.messages] == [ModelRequest, ModelResponse]
        assert run_output.usage.requests == 1
        await gate.wait()

    async with serve(Musterd(agents=[agent(post_hooks=[audit])])) as client:
        async with client.run_agent("agent", "hello", user_id="ada") as run:
            streamed = [event async for event in run]
            result = await run.result()
        task_id = result.task.task_id
        # The run is over for its caller while the hook has not even ended.
        assert isinstance(streamed[-1], TaskCompleted)
        await gate.reached.wait()
        running = [each async for each in client.hooks.list(task_id=task_id)]
        gate.open()
        (ended,) = (await settled(client, task_id)).values()
        log = await logged(client, task_id)
    assert seen == [("done", "ada", "agent", "completed")]
    assert [(each.state, each.attempts) for each in running] == [(HookRunState.RUNNING, 1)]
    assert (ended.state, ended.phase, ended.error) == (HookRunState.COMPLETED, HookPhase.POST, "")
    assert [event.kind for event in log[-3:]] == ["task_completed", "hook_started", "hook_completed"]
    assert isinstance(started := log[-2], HookStarted)
    assert (started.hook_run_id, started.in_background) == (ended.hook_run_id, True)


async def test_a_background_hook_gets_what_the_hooks_in_front_have_made() -> None:
    """H2."""
    seen: dict[str, object] = {}

    @background
    def note_input(run_input: RunInput) -> None:
        seen["input"] = run_input.content
        run_input.content = "changes nothing"

    @background
    def note_output(run_output: RunOutput) -> RunOutput:
        seen["output"] = run_output.content
        return RunOutput(run_id="", content="changes nothing")

    def change_input(run_input: RunInput) -> None:
        run_input.content = "changed"

    def change_output(run_output: RunOutput) -> None:
        run_output.content = {"changed": True}

    app = Musterd(agents=[agent(pre_hooks=[note_input, change_input], post_hooks=[note_output, change_output])])
    async with serve(app) as client:
        result = await client.run_agent("agent", "hello").result()
        await settled(client, result.task.task_id, count=2)
    assert result.output.json == '{"changed":true}'
    assert seen == {"input": "changed", "output": {"changed": True}}


def built(component: Any) -> Callable[[RequestContext], Any]:
    return lambda _: component


@pytest.mark.parametrize("factory", [True, False])
@pytest.mark.parametrize("kind", ["agent", "team", "workflow"])
async def test_the_switch_of_the_app_reaches_all_components(kind: str, factory: bool) -> None:
    """H2: prototypes and what factories build, with the hooks that these have themselves."""
    seen: list[str] = []

    def of_app(component: Any) -> None:
        seen.append(f"app {component.name}")

    def of_registration() -> None:
        seen.append("registration")

    def of_component(run_output: RunOutput) -> None:
        seen.append(f"component {run_output.content}")

    plain = Agent(saying("done"), name="agent")
    components: dict[str, Any] = {
        "agent": plain,
        "team": Team("team", [plain], model=saying("done"), post_hooks=[of_component]),
        "workflow": Workflow("workflow", [plain], post_hooks=[of_component]),
    }
    factories: dict[str, Any] = {"agent": AgentFactory, "team": TeamFactory, "workflow": WorkflowFactory}
    component = components[kind]
    source = (
        factories[kind](kind, built(component), post_hooks=[of_registration])
        if factory
        else Prototype(component, post_hooks=[of_registration])
    )
    sources: dict[str, Any] = {f"{kind}s": [source]}
    app = Musterd(**sources, post_hooks=[of_app], run_hooks_in_background=True)
    expected = {f"app {kind}", "registration"} | (set[str]() if kind == "agent" else {"component done"})
    async with serve(app) as client:
        runs: dict[str, Any] = {"agent": client.run_agent, "team": client.run_team, "workflow": client.run_workflow}
        async with runs[kind](kind, "go") as run:
            streamed = [event async for event in run]
        await settled(client, run.task.task_id, count=len(expected))
    assert told(streamed) == []
    assert set(seen) == expected


async def test_three_failing_attempts_make_a_hook_dead_until_it_is_retried_by_hand() -> None:
    """H4 (refusal)."""
    problems = ["one", "two", "three"]

    @background
    def audit() -> None:
        if problems:
            raise RuntimeError(problems.pop(0))

    async with serve(Musterd(agents=[agent(post_hooks=[audit])]), runtime=QUICK) as client:
        task_id = await run_of(client)
        (dead,) = (await settled(client, task_id)).values()
        log = await logged(client, task_id)
        again = await client.hooks.retry(dead.hook_run_id)
        done = (await settled(client, task_id))["audit"]
        with pytest.raises(PreconditionFailedError) as refused:
            await client.hooks.retry(dead.hook_run_id)
    assert (dead.state, dead.attempts) == (HookRunState.DEAD, 3)
    assert dead.error.startswith("the hook 'audit' failed; the server's log has it as ")
    assert told(log) == ["started audit", "failed audit"] * 3
    failures = [event for event in log if isinstance(event, HookFailed)]
    assert [(event.attempt, event.will_retry) for event in failures] == [(1, True), (2, True), (3, False)]
    assert (again.hook_run_id, again.attempts) == (dead.hook_run_id, 0)
    assert (done.state, done.attempts, done.error) == (HookRunState.COMPLETED, 1, "")
    assert refused.value.reason == "HOOK_RUN_NOT_RETRYABLE"


async def test_a_hook_that_fails_does_not_stop_the_next() -> None:
    """H4."""

    @background
    def broken() -> None:
        raise RuntimeError

    @background
    def sound() -> None:
        """Do well."""

    app = Musterd(agents=[agent(post_hooks=[broken, sound])])
    async with serve(app, runtime={**QUICK, "hook_max_attempts": 1}) as client:
        runs = await settled(client, await run_of(client), count=2)
    assert {name: run.state for name, run in runs.items()} == {
        "broken": HookRunState.DEAD,
        "sound": HookRunState.COMPLETED,
    }
    assert runs["broken"].attempts == 1


async def test_a_check_in_the_background_stops_nothing_and_is_a_failure() -> None:
    """H3, H4: its words are those of its author."""

    @background
    def late() -> None:
        raise InputCheckError("too late to say no", "OFF_TOPIC")

    app = Musterd(agents=[agent(pre_hooks=[late])])
    async with serve(app, runtime={**QUICK, "hook_max_attempts": 1}) as client:
        result = await client.run_agent("agent", "hello").result()
        (run,) = (await settled(client, result.task.task_id)).values()
    assert result.text == "done"
    assert (run.state, run.error) == (HookRunState.DEAD, "too late to say no")


@pytest.mark.parametrize("ending", ["failed", "canceled"])
async def test_pre_hooks_run_after_any_end_and_post_hooks_after_a_good_one(ending: str) -> None:
    """H2."""
    gate = Gate()

    @background
    def before() -> None:
        """Do well."""

    @background
    def after() -> None:
        """Do well."""

    def refuse() -> None:
        raise InputCheckError("no")

    hooks = [before, refuse] if ending == "failed" else [before]
    registered = Prototype(Agent(stopping(gate), name="agent"), pre_hooks=hooks, post_hooks=[after])
    async with serve(Musterd(agents=[registered])) as client, client.run_agent("agent", "hello") as run:
        if ending == "canceled":
            await gate.reached.wait()
            await client.tasks.cancel(run.task.task_id, mode=CancelMode.HARD)
        events = [event async for event in run]
        runs = await settled(client, run.task.task_id)
    assert isinstance(events[-1], TaskFailed if ending == "failed" else TaskCanceled)
    assert list(runs) == ["before"]


async def test_a_hook_after_a_refusal_gets_the_input_as_the_hooks_before_have_left_it() -> None:
    """H2, H3: what was taken out of it stays out."""
    seen: list[str] = []

    @background
    def audit(run_input: RunInput) -> None:
        seen.append(run_input.content)

    def mask(run_input: RunInput) -> None:
        run_input.content = "[removed]"

    def refuse() -> None:
        raise InputCheckError("no")

    async with serve(Musterd(agents=[agent(pre_hooks=[audit, mask, refuse])])) as client:
        async with client.run_agent("agent", "secret") as run:
            events = [event async for event in run]
        await settled(client, run.task.task_id)
    assert isinstance(events[-1], TaskFailed)
    assert seen == ["[removed]"]


async def test_a_run_that_never_began_leaves_no_hook() -> None:
    """H2, C7 (refusal)."""

    @background
    def before() -> None:
        """Do well."""

    def refuse(context: RequestContext) -> Agent:
        raise RuntimeError(context.user_id)

    app = Musterd(agents=[AgentFactory("agent", refuse)], pre_hooks=[before])
    async with serve(app) as client:
        with pytest.raises(ServerFailedError) as refused:
            await run_of(client)
        assert refused.value.reason == "FACTORY_FAILED"
        assert [each async for each in client.hooks.list()] == []


async def test_as_many_hooks_run_at_once_as_the_limit_allows() -> None:
    """H4."""
    gates = [Gate() for _ in range(3)]
    left = list(gates)

    @background
    async def slow() -> None:
        await left.pop(0).wait()

    async with serve(Musterd(agents=[agent(post_hooks=[slow])]), runtime={"hook_concurrency": 2}) as client:
        for _ in gates:
            await run_of(client)
        await asyncio.gather(gates[0].reached.wait(), gates[1].reached.wait())
        states = sorted([each.state async for each in client.hooks.list()])
        assert not gates[2].reached.is_set()
        gates[0].open()
        await gates[2].reached.wait()
        for gate in gates[1:]:
            gate.open()
        await settled(client, count=3)
    assert states == [HookRunState.PENDING, HookRunState.RUNNING, HookRunState.RUNNING]


async def test_a_hook_that_takes_too_long_has_failed() -> None:
    """H4 (refusal)."""

    @background
    async def endless() -> None:
        await Gate().wait()

    limits = {**QUICK, "hook_timeout_seconds": 0.1, "hook_max_attempts": 2}
    async with serve(Musterd(agents=[agent(post_hooks=[endless])]), runtime=limits) as client:
        (run,) = (await settled(client, await run_of(client))).values()
    assert (run.state, run.attempts, run.error) == (HookRunState.DEAD, 2, "the hook took longer than 0.1 s")


async def test_hooks_of_a_team_within_a_team_leave_their_own_runs() -> None:
    """H1, H4: with the inner team as the component."""
    seen: list[str] = []

    @background
    def audit(team: Any, run_output: RunOutput) -> None:
        seen.append(f"{team.name}: {run_output.content}")

    inner = Team("inner", [Agent(saying("x"), name="one")], model=saying("inner is done"), post_hooks=[audit])
    outer = Team("outer", [inner], model=saying("outer is done"), mode="broadcast", post_hooks=[audit])
    async with serve(Musterd(teams=[TeamFactory("outer", built(outer))])) as client:
        result = await client.run_team("outer", "go").result()
        await settled(client, count=2)
        runs = [run async for run in client.hooks.list()]
    assert sorted(seen) == ["inner: inner is done", "outer: outer is done"]
    assert result.task.task_id in {run.task_id for run in runs}
    assert len({run.task_id for run in runs}) == 2


async def test_the_hooks_of_another_user_are_not_there() -> None:
    """H4, I5 (refusal)."""

    @background
    def broken() -> None:
        raise RuntimeError

    app = Musterd(agents=[agent(post_hooks=[broken])])
    limits = {**QUICK, "hook_max_attempts": 1}
    async with serve(app, token=token("ada"), auth=AUTH, runtime=limits) as ada:
        (run,) = (await settled(ada, await run_of(ada))).values()
        target = ada.target
        for user, tenant in (("bert", "acme"), ("ada", "umbrella")):
            async with MusterdClient(target, token=token(user, tenant=tenant)) as stranger:
                assert [each async for each in stranger.hooks.list(task_id=run.task_id)] == []
                with pytest.raises(NotFoundError) as refused:
                    await stranger.hooks.retry(run.hook_run_id)
                assert refused.value.reason == "HOOK_RUN_NOT_FOUND"
        async with MusterdClient(target, token=token("ada", scopes="tasks:read")) as reader:
            assert [each.hook_run_id async for each in reader.hooks.list()] == [run.hook_run_id]
            with pytest.raises(PermissionDeniedError, match="tasks:write"):
                await reader.hooks.retry(run.hook_run_id)
        async with MusterdClient(target, token=token("root", scopes="musterd:admin")) as admin:
            assert [each.hook_run_id async for each in admin.hooks.list()] == [run.hook_run_id]


async def test_hook_runs_are_listed_page_by_page() -> None:
    """H4."""

    @background
    def audit() -> None:
        """Do well."""

    async with serve(Musterd(agents=[agent(post_hooks=[audit])])) as client:
        for _ in range(3):
            await run_of(client)
        await settled(client, count=3)
        pages = [run.hook_run_id async for run in client.hooks.list(page_size=1)]
        whole = [run.hook_run_id async for run in client.hooks.list()]
        dead = [run async for run in client.hooks.list(states=[HookRunState.DEAD])]
    assert pages == whole
    assert len(set(pages)) == 3
    assert dead == []


async def test_a_hook_run_that_is_not_there_is_not_found() -> None:
    """H4 (refusal)."""
    async with serve(Musterd(agents=[agent()])) as client:
        with pytest.raises(NotFoundError) as refused:
            await client.hooks.retry("01a21631-3a9f-702a-843c-6f3e1ed5a4a2")
    assert refused.value.reason == "HOOK_RUN_NOT_FOUND"
