"""Sessions: what a run knows of those before it, and that they come one after the other."""

import asyncio
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel
from pydantic_ai import Agent, Tool
from pydantic_ai.capabilities import ProcessHistory
from pydantic_ai.messages import (
    ModelMessage,
    ModelResponse,
    TextPart,
    ToolCallPart,
    ToolReturnPart,
    UserPromptPart,
)
from pydantic_ai.models.function import AgentInfo, FunctionModel
from tests.support.gated_model import Gate, prompts_in
from tests.support.payments import Till, asked_of
from tests.support.stage import Stage, ask, do, task
from tests.support.trees import only_child_of
from tests.support.turns import taking

from musterd import Musterd, Team
from musterd.runtime.attempt.capability import REPEATABLE_KEY
from musterd.teams.prompts import TeamMode
from musterd.testing import serve
from musterd.workflows import Step, StepInput, Workflow
from musterd_client import (
    CancelMode,
    MessageRole,
    MusterdClient,
    PreconditionFailedError,
    QuestionAsked,
    Resolution,
    SessionEntry,
    TaskFailedError,
    TaskState,
)

ID = "s-1"


def recalling(name: str = "parrot", gate: Gate | None = None, **options: Any) -> Agent[Any, Any]:
    """Return an agent that says all that users have said in the conversation."""

    async def respond(messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
        if gate is not None:
            await gate.wait()
        return ModelResponse(parts=[TextPart(" ".join(prompts_in(messages)))])

    return Agent(FunctionModel(respond), name=name, **options)


async def say(client: MusterdClient, text: str, name: str = "parrot", session_id: str = ID) -> str:
    """Run an agent in a session, and return what it says."""
    return (await client.run_agent(name, text, session_id=session_id).result()).text


async def entries_of(client: MusterdClient, session_id: str = ID, agent_id: str = "") -> Sequence[SessionEntry]:
    """Return all that runs have added to a session."""
    return [entry async for entry in client.sessions.entries(session_id, agent_id=agent_id)]


async def said_in(client: MusterdClient, session_id: str = ID) -> Sequence[str]:
    """Return the texts of a session."""
    return [message.text for entry in await entries_of(client, session_id) for message in entry.messages]


async def test_a_run_goes_on_with_what_was_said_before() -> None:
    """N1: in its session alone."""
    async with serve(Musterd(agents=[recalling(), recalling("other")])) as client:
        assert await say(client, "one") == "one"
        assert await say(client, "two") == "one two"
        assert await say(client, "two", session_id="s-2") == "two"
        assert await say(client, "two", "other") == "two"
        assert await say(client, "two", session_id="") == "two"
        entries = await entries_of(client, agent_id="parrot")
        session = await client.sessions.get(ID, agent_id="parrot")
    assert [[(each.role, each.text) for each in entry.messages] for entry in entries] == [
        [(MessageRole.REQUEST, "one"), (MessageRole.RESPONSE, "one")],
        [(MessageRole.REQUEST, "two"), (MessageRole.RESPONSE, "one two")],
    ]
    assert (session.run_count, session.message_count, session.live_task_id) == (2, 4, "")
    assert json.loads(entries[0].messages[0].message_json)["kind"] == "request"


async def test_twenty_runs_at_once_leave_a_history_without_gaps() -> None:
    """N1: each has heard all before it, and nothing of those after it."""
    async with serve(Musterd(agents=[recalling()])) as client:
        answers = await asyncio.gather(*[say(client, f"<{number}>") for number in range(20)])
        said = await said_in(client)
    order = said[0::2]
    assert sorted(order) == sorted(f"<{number}>" for number in range(20))
    assert list(said[1::2]) == [" ".join(order[: number + 1]) for number in range(20)]
    assert sorted(answers) == sorted(said[1::2])


async def test_a_run_that_waits_for_its_turn_is_in_the_queue() -> None:
    """N1: and can be canceled there, while the next one takes its place."""
    gate = Gate()
    async with serve(Musterd(agents=[recalling(gate=gate)])) as client:
        first = asyncio.ensure_future(say(client, "one"))
        await gate.reached.wait()
        async with client.run_agent("parrot", "two", session_id=ID, background=True) as run:
            waiting = run.task
        third = asyncio.ensure_future(say(client, "three"))
        session = await client.sessions.get(ID)
        await client.tasks.cancel(waiting.task_id, mode=CancelMode.HARD)
        gate.open()
        answers = await asyncio.gather(first, third)
        said = await said_in(client)
    assert waiting.state is TaskState.SUBMITTED
    assert session.live_task_id not in ("", waiting.task_id)
    assert answers == ["one", "one three"]
    assert list(said[0::2]) == ["one", "three"]


async def test_what_did_not_complete_is_not_part_of_the_history() -> None:
    """N1: neither a run that failed nor one that was canceled."""
    gate = Gate()

    async def respond(messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
        text = prompts_in(messages)[-1]
        if text == "fail":
            raise RuntimeError("broken")
        if text == "stop":
            await gate.wait()
        return ModelResponse(parts=[TextPart(" ".join(prompts_in(messages)))])

    async with serve(Musterd(agents=[Agent(FunctionModel(respond), name="parrot")])) as client:
        await say(client, "one")
        with pytest.raises(TaskFailedError):
            await say(client, "fail")
        async with client.run_agent("parrot", "stop", session_id=ID, background=True) as run:
            await gate.reached.wait()
            await client.tasks.cancel(run.task.task_id, mode=CancelMode.HARD)
        assert await say(client, "two") == "one two"


async def test_tools_and_structured_output_are_part_of_the_history() -> None:
    """N1: the model sees the calls again, with what came of them."""

    class Verdict(BaseModel):
        fine: bool

    seen: list[list[ModelMessage]] = []

    def look(messages: list[ModelMessage]) -> tuple[str, dict[str, Any]]:
        seen.append(list(messages))
        return "final_result", {"fine": True}

    def weigh() -> str:
        return "heavy"

    agent = Agent(taking(("weigh", {}), look), name="judge", output_type=Verdict, tools=[weigh])
    async with serve(Musterd(agents=[agent])) as client:
        await say(client, "one", "judge")
        await say(client, "two", "judge")
        entries = await entries_of(client)
    assert "heavy" in str(seen[1])
    kinds = [part.part_kind for message in seen[1] for part in message.parts]
    expected = ["user-prompt", "tool-call", "tool-return", "tool-call", "tool-return", "user-prompt"]
    assert kinds == expected
    assert [len(entry.messages) for entry in entries] == [5, 3]


async def test_runs_that_end_with_a_tool_call_keep_their_own_parts_of_the_history() -> None:
    """N1: the next prompt follows the call's return, which agents make one request."""

    class Verdict(BaseModel):
        fine: bool

    agent = Agent(taking(("final_result", {"fine": True})), name="judge", output_type=Verdict)
    async with serve(Musterd(agents=[agent])) as client:
        for text in ("one", "two", "three", "four"):
            await say(client, text, "judge")
        entries = await entries_of(client)
    assert [entry.position for entry in entries] == [1, 2, 3, 4]
    said = [[message.text for message in entry.messages] for entry in entries]
    assert said == [[text, "", ""] for text in ("one", "two", "three", "four")]
    run_ids = [{json.loads(message.message_json)["run_id"] for message in entry.messages} for entry in entries]
    assert [len(each) for each in run_ids] == [1] * 4


async def test_a_run_is_refused_while_another_waits_for_an_approval() -> None:
    """N1, N2 (refusal): the error names the task to look after; once that has ended, the session is free."""
    till = Till()
    async with serve(Musterd(agents=[till.payer()])) as client:
        async with client.run_agent("payer", "go", session_id=ID) as run:
            await asked_of(run)
            with pytest.raises(PreconditionFailedError) as refused:
                await say(client, "hello", "payer")
            await client.tasks.resolve(run.task.task_id, [Resolution.approve()])
            assert (await run.result()).text == "paid 3"
        async with client.run_agent("payer", "again", session_id=ID, background=True) as run:
            assert run.task.state is TaskState.WORKING
    assert refused.value.reason == "SESSION_BUSY"
    assert refused.value.metadata == {"session_id": ID, "task_id": refused.value.metadata["task_id"]}


async def test_a_run_waits_while_a_child_of_another_asks() -> None:
    """N1, S12: for the run itself does not ask."""
    stage = Stage()
    async with serve(stage.app()) as client:
        plan = do(task(do(ask("which?"), "thanks"), "sync"))
        async with client.run_agent("boss", plan, session_id=ID) as run:
            async for event in run:
                if isinstance(event, QuestionAsked):
                    break
            child = await only_child_of(client, run.task.task_id)
            async with client.run_agent("boss", do("later"), session_id=ID, background=True) as later:
                assert later.task.state is TaskState.SUBMITTED
            await client.tasks.answer(child.task_id, "this one")
            (ended,) = (await client.tasks.wait([later.task.task_id])).tasks
    assert ended.output is not None
    assert ended.output.text == "later"


async def test_a_capability_that_shortens_the_history_is_followed() -> None:
    """N1: what it leaves stands for all that was said before."""

    def keep_last_two(messages: list[ModelMessage]) -> list[ModelMessage]:
        return messages[-3:]

    async with serve(Musterd(agents=[recalling(capabilities=[ProcessHistory(keep_last_two)])])) as client:
        for text in ("one", "two", "three"):
            await say(client, text)
        assert await say(client, "four") == "three four"
        entries = await entries_of(client)
        session = await client.sessions.get(ID)
    assert [message.text for entry in entries for message in entry.messages] == [
        "three",
        "two three",
        "four",
        "three four",
    ]
    assert (session.run_count, session.message_count) == (4, 4)
    assert [entry.position for entry in entries] == [4]


async def test_a_capability_that_changes_messages_in_place_is_followed() -> None:
    """N1: what it made of them stands, as if it had given others; with nothing to change it adds its part."""

    def shout(messages: list[ModelMessage]) -> list[ModelMessage]:
        for message in messages[:-1]:
            for part in message.parts:
                if isinstance(part, UserPromptPart | TextPart):
                    part.content = str(part.content).upper()
        return messages

    async with serve(Musterd(agents=[recalling(capabilities=[ProcessHistory(shout)])])) as client:
        await say(client, "one")
        assert await say(client, "two") == "ONE two"
        (entry,) = await entries_of(client)
        await client.sessions.delete(ID)
        for text in ("ONE", "TWO"):
            await say(client, text)
        untouched = await entries_of(client)
    assert [message.text for message in entry.messages] == ["ONE", "ONE", "two", "ONE two"]
    assert [entry.position for entry in untouched] == [1, 2]


@pytest.mark.parametrize(
    ("limit", "most"), [("session_max_messages", 2), ("session_max_bytes", None)], ids=["messages", "bytes"]
)
async def test_a_run_does_not_begin_with_too_large_a_history(tmp_path: Path, limit: str, most: int | None) -> None:
    """N1 (refusal): at the limit it does, beyond it is SESSION_FULL; another session is free."""
    app = Musterd(agents=[recalling()])
    async with serve(app, folder=tmp_path) as client:
        await say(client, "one")
        size = most or (await client.sessions.get(ID)).size_bytes
    async with serve(app, folder=tmp_path, runtime={limit: size}) as client:
        assert await say(client, "two") == "one two"
        with pytest.raises(PreconditionFailedError) as refused:
            await say(client, "three")
        assert await say(client, "three", session_id="s-2") == "three"
    assert (refused.value.reason, refused.value.metadata) == ("SESSION_FULL", {"session_id": ID})


async def test_the_same_request_is_not_refused_for_a_full_session() -> None:
    """R8, N1: it leads to the run that it began."""
    async with serve(Musterd(agents=[recalling()]), runtime={"session_max_messages": 1}) as client:
        first = await client.run_agent("parrot", "one", session_id=ID, request_id="r-1").result()
        again = await client.run_agent("parrot", "one", session_id=ID, request_id="r-1").result()
    assert again.task.task_id == first.task.task_id


@pytest.mark.parametrize("mode", [TeamMode.COORDINATE, TeamMode.BROADCAST, TeamMode.TASKS])
async def test_a_teams_session_is_its_leaders(mode: TeamMode) -> None:
    """N1: members begin anew with each turn."""
    leader = recalling("leader").model
    member = recalling("writer")
    team = Team("press", members=[member], model=leader, mode=mode)
    async with serve(Musterd(teams=[team])) as client:
        texts = [(await client.run_team("press", text, session_id=ID).result()).text for text in ("one", "two")]
        entries = await entries_of(client)
    assert "one" in texts[1]
    assert "two" in texts[1]
    assert [entry.messages[0].text.split()[0] for entry in entries] == ["one", "two"]
    assert [len(entry.messages) for entry in entries] == [2, 2]


async def test_a_leader_that_hands_over_knows_later_what_the_member_said() -> None:
    """N1, T2: what ended its run is part of the conversation."""
    seen: list[str] = []

    def hand_over(messages: list[ModelMessage]) -> tuple[str, dict[str, Any]]:
        seen.append(str(messages))
        return "delegate_to_member", {"member": "writer", "task": f"task {len(seen)}"}

    team = Team("press", members=[recalling("writer")], model=taking(hand_over), mode=TeamMode.ROUTE)
    async with serve(Musterd(teams=[team])) as client:
        for text in ("one", "two"):
            await client.run_team("press", text, session_id=ID).result()
        entries = await entries_of(client)
    assert "task 1" in seen[1]
    assert len(entries) == 2
    assert "Final result processed" not in seen[1]


async def test_the_steps_of_a_workflow_read_its_session() -> None:
    """N1: its requests and results are what it keeps."""

    def recall(step: StepInput) -> str:
        parts = [part for message in step.history for part in message.parts]
        said = [str(part.content) for part in parts if isinstance(part, UserPromptPart | TextPart)]
        return " ".join([*said, step.request])

    flow = Workflow("flow", [Step("recall", recall)])
    async with serve(Musterd(workflows=[flow])) as client:
        texts = [(await client.run_workflow("flow", text, session_id=ID).result()).text for text in ("a", "b")]
        entries = await entries_of(client)
    assert texts == ["a", "a a b"]
    assert [[message.text for message in entry.messages] for entry in entries] == [["a", "a"], ["b", "a a b"]]


async def test_runs_that_wait_for_a_session_go_on_in_the_next_life(tmp_path: Path) -> None:
    """N1, R11: the holder is taken over and adds its part once, then the others have their turn."""
    gate = Gate()
    async with serve(Musterd(agents=[recalling(gate=gate)]), folder=tmp_path) as client:
        task_ids: list[str] = []
        for text in ("one", "two", "three"):
            async with client.run_agent("parrot", text, session_id=ID, background=True) as run:
                task_ids.append(run.task.task_id)
        await gate.reached.wait()
    async with serve(Musterd(agents=[recalling()]), folder=tmp_path) as client:
        ended = (await client.tasks.wait(task_ids)).tasks
        said = await said_in(client)
    assert [each.output.text for each in ended if each.output] == ["one", "one two", "one two three"]
    assert list(said[0::2]) == ["one", "two", "three"]


def pausing(gate: Gate) -> Agent[Any, str]:
    """Return an agent that calls a tool which waits at a gate, and then says what users have said."""

    async def respond(messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
        if any(isinstance(part, ToolReturnPart) for part in messages[-1].parts):
            return ModelResponse(parts=[TextPart(" ".join(prompts_in(messages)))])
        return ModelResponse(parts=[ToolCallPart("pause", {}, tool_call_id="c")])

    async def pause() -> str:
        await gate.wait()
        return "passed"

    return Agent(FunctionModel(respond), name="parrot", tools=[Tool(pause, metadata={REPEATABLE_KEY: True})])


async def test_a_run_that_is_played_again_adds_its_part_once(tmp_path: Path) -> None:
    """N1, R11: it is given the same history as before."""
    gate = Gate()
    async with serve(Musterd(agents=[recalling()]), folder=tmp_path) as client:
        await say(client, "one")
    app = Musterd(agents=[pausing(gate)])
    async with serve(app, folder=tmp_path) as client:
        going = asyncio.ensure_future(say(client, "two"))
        await gate.reached.wait()
        task_id = (await client.sessions.get(ID)).live_task_id
    await asyncio.wait([going])
    gate.open()
    async with serve(app, folder=tmp_path) as client:
        (ended,) = (await client.tasks.wait([task_id])).tasks
        entries = await entries_of(client)
    assert (ended.attempt, ended.output.text if ended.output else "") == (2, "one two")
    assert entries[-1].task_id == ended.task_id
    assert [len(entry.messages) for entry in entries] == [2, 4]
