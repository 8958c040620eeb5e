"""The server is killed while an agent waits for others: they go on where they were, and so does it."""

import re
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests.e2e.reading import is_dense, restarts_in
from tests.e2e.shop import PATIENT, SCOPES, Shop, open_shop
from tests.support.trees import children_of, log_of

from musterd.testing.model import ChatRequest, Turn, call, gate, text
from musterd_client import (
    ModelRequestStarted,
    MusterdClient,
    QuestionAnswered,
    QuestionAsked,
    RestartCause,
    SubtaskEnded,
    SubtaskStarted,
    TaskCompleted,
    TaskState,
    ToolCallStarted,
    WaitMode,
)

JOBS = ("count the stock", "write the letter", "call the customer")
COUNT, WRITE, CALL = JOBS
APP = "office:app"


def customer(shop: Shop) -> MusterdClient:
    return shop.client(shop.token(scope=f"{SCOPES} tasks:write"), retry=PATIENT)


def job_of(request: ChatRequest) -> str:
    """Return what the run of a request is to do."""
    opening = next(message.text for message in request.messages if message.role == "user")
    return next((job for job in (*JOBS, "make a poem") if job in opening), "lead")


def started_ids(request: ChatRequest) -> Mapping[str, str]:
    """Return the ids of the tasks that a run started, by the ids of the calls."""
    found = {id_: re.search(r"Task ID: (\S+)", result) for id_, result in request.tool_results.items()}
    return {id_: match[1] for id_, match in found.items() if match is not None}


def work(request: ChatRequest) -> Turn:
    """Write down that it begins, then wait or ask, then write down that it is done."""
    job = job_of(request)
    match len(request.tool_results):
        case 0:
            return call("note", {"what": f"{job} begins"}, id=f"{job} 1")
        case 1 if job == CALL:
            return call("ask_parent", {"question": "which number?"}, id=f"{job} 2")
        case 1:
            return gate("work") + call("note", {"what": f"{job} ends"}, id=f"{job} 2")
        case 2 if job == CALL:
            return call("note", {"what": f"{job} ends: {request.tool_results[f'{job} 2']}"}, id=f"{job} 3")
        case _:
            return text(f"done: {job}")


def lead_three(request: ChatRequest) -> Turn:
    """Start three jobs, wait for the two that ask nothing, then for the third."""
    if job_of(request) != "lead":
        return work(request)
    ids = started_ids(request)
    match len(request.tool_results):
        case 0:
            turns = [
                call("task", {"description": job, "subagent_type": "clerk", "mode": "async"}, id=job) for job in JOBS
            ]
            return turns[0] + turns[1] + turns[2]
        case 3:
            return call("wait_tasks", {"task_ids": [ids[COUNT], ids[WRITE]]}, id="first wait")
        case 4:
            return call("wait_tasks", {"task_ids": [ids[CALL]]}, id="second wait")
        case _:
            return text(request.tool_results["first wait"], "\n", request.tool_results["second wait"])


async def test_a_leader_and_its_three_children_survive_the_server_and_repeat_nothing(folder: Path) -> None:
    """R3, S6, S7, S13: one of the children waits for an answer, which it gets in the next life."""
    async with open_shop(folder, lead_three) as shop, customer(shop) as client:
        async with shop.serving(APP) as first_life:
            root = await client.run_agent("manager", "lead them", background=True).start()
            await shop.model.reached("work", times=2)
            children = await children_of(client, root.task_id)
            asking = children[CALL]
            waited = await client.tasks.wait([asking.task_id], mode=WaitMode.ALL)
            (question,) = waited.tasks[0].questions
            await until_waiting(client, root.task_id, children[COUNT].task_id, children[WRITE].task_id)
            await first_life.kill()
        before = len(shop.model.requests)
        async with shop.serving(APP):
            answered = await client.tasks.answer(asking.task_id, "4711", question.question_id)
            assert answered.task_id == asking.task_id
            shop.model.release("work")
            log = await log_of(client, root.task_id)
            root = await client.tasks.status(root.task_id)
            children = await children_of(client, root.task_id)
        shop.model.assert_exhausted()
    assert is_dense(log)
    assert (root.state, {child.state for child in children.values()}) == (TaskState.COMPLETED, {TaskState.COMPLETED})
    assert root.output is not None
    for job in JOBS:
        assert f"COMPLETED\ndone: {job}" in root.output.text
    assert sorted(shop.ledger()) == sorted(
        [*(f"{job} begins" for job in JOBS), f"{COUNT} ends", f"{WRITE} ends", f"{CALL} ends: 4711"]
    )
    asked = Counter((job_of(request), len(request.tool_results)) for request in shop.model.requests)
    cut_off = {(COUNT, 1): 2, (WRITE, 1): 2}
    assert {step: times for step, times in asked.items() if times > 1} == cut_off
    assert {job_of(request) for request in shop.model.requests[before:]} == {*JOBS, "lead"}
    assert restarts_in(log) == [(2, RestartCause.RECOVERY)] * 2
    for kind, times in {SubtaskStarted: 3, SubtaskEnded: 3, QuestionAsked: 1, QuestionAnswered: 1}.items():
        assert sum(isinstance(event, kind) for event in log) == times
    assert isinstance(log[-1], TaskCompleted)
    assert root.tree_usage is not None
    assert root.tree_usage.requests == root.usage.requests + sum(each.usage.requests for each in children.values())


async def until_waiting(client: MusterdClient, task_id: str, *working: str) -> None:
    """Return once the log has it that a run waits for tasks, and that each of some others makes its second request."""
    missing = {("wait_tasks", task_id), *((2, each) for each in working)}
    async with client.tasks.watch(task_id) as watch:
        async for event in watch:
            match event:
                case ToolCallStarted():
                    missing.discard((event.tool_name, event.task_id))
                case ModelRequestStarted():
                    missing.discard((event.step, event.task_id))
                case _:
                    pass
            if not missing:
                return


def lead_a_poet(request: ChatRequest) -> Turn:
    """Make a poet, have it work in the background, and after that once more."""
    job = job_of(request)
    if job == "make a poem":
        first = call("note", {"what": "a line"}, id="line")
        return first if not request.tool_results else gate("poem") + text("roses are red")
    poet = {"description": "make a poem", "subagent_type": "poet"}
    match len(request.tool_results):
        case 0:
            about: dict[str, Any] = {
                "name": "poet",
                "description": "Writes.",
                "instructions": "Rhyme!",
                "capabilities": ["notebook"],
            }
            return call("create_agent", about, id="create")
        case 1:
            return call("task", {**poet, "mode": "async"}, id="first")
        case 2:
            return call("wait_tasks", {"task_ids": list(started_ids(request).values())}, id="wait")
        case 3:
            return call("task", {**poet, "mode": "sync"}, id="second") + call("list_agents", id="list")
        case _:
            return text(*(request.tool_results[id_] + "\n" for id_ in ("wait", "second", "list")))


async def test_the_task_of_an_agent_that_was_made_while_running_survives_the_server(folder: Path) -> None:
    """R3, S10, S11: it is made again from what it was made from, with its tools; its maker can use it further."""
    async with open_shop(folder, lead_a_poet) as shop, customer(shop) as client:
        async with shop.serving(APP) as first_life:
            root = await client.run_agent("manager", "lead", background=True).start()
            await shop.model.reached("poem")
            await first_life.kill()
        before = len(shop.model.requests)
        shop.model.release("poem")
        async with shop.serving(APP):
            log = await log_of(client, root.task_id)
            root = await client.tasks.status(root.task_id)
        shop.model.assert_exhausted()
    assert is_dense(log)
    assert root.state is TaskState.COMPLETED
    assert root.output is not None
    assert root.output.text.count("roses are red") == 2
    assert "Dynamic Agents (1):\n- poet" in root.output.text
    assert shop.ledger() == ["a line"] * 2
    later = [request for request in shop.model.requests[before:] if job_of(request) == "make a poem"]
    assert len(later) == 3
    assert all(("Rhyme!" in request.instructions, "note" in request.tool_names) == (True, True) for request in later)
    assert sum(isinstance(event, SubtaskStarted) for event in log) == 2
