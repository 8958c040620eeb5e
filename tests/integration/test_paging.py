"""Pages of lists: dense, in order, and a token is good for its own list alone."""

import base64
import json
from collections.abc import AsyncGenerator
from typing import Any

import grpc
import pytest
from pydantic_ai import Agent
from tests.support.gated_model import saying
from tests.support.tokens import AUTH, token
from tests.support.wire import Answer, Wire, wire_to

from musterd import Musterd
from musterd.testing import serve

ADA, BOB = token("ada"), token("bob")
BOSS = token("boss", scopes="musterd:admin")
ELSEWHERE = token("ada", tenant="initech")
AGENTS = [f"agent-{number:02}" for number in range(7)]


@pytest.fixture
async def wire() -> AsyncGenerator[Wire]:
    app = Musterd(agents=[Agent(saying("hello"), name=name) for name in reversed(AGENTS)])
    async with serve(app, auth=AUTH) as client, wire_to(client.target) as wire:
        yield wire


async def run(wire: Wire, token: str, count: int = 1, **fields: Any) -> list[str]:
    """Run an agent some times, one after the other, and return the ids of the tasks."""
    runs = [await wire.call("RunAgent", token=token, agent_id=AGENTS[0], message="hi", **fields) for _ in range(count)]
    return [each.task.task_id for each in runs]


async def listed(wire: Wire, token: str, page_size: int, **filters: Any) -> list[list[str]]:
    """Return the task ids of each page."""
    pages: list[list[str]] = []
    page_token = ""
    while True:
        page = await wire.call("ListTasks", token=token, page_size=page_size, page_token=page_token, **filters)
        pages.append([task.task_id for task in page.tasks])
        if not (page_token := page.next_page_token):
            return pages


async def page_token_of(wire: Wire, token: str, name: str = "ListTasks", **filters: Any) -> str:
    page = await wire.call(name, token=token, page_size=2, **filters)
    assert page.next_page_token
    return page.next_page_token


def is_refused(answer: Answer) -> bool:
    is_invalid = answer.code is grpc.StatusCode.INVALID_ARGUMENT and answer.reason == "PAGE_TOKEN_INVALID"
    return is_invalid and answer.paths == ["page_token"]


@pytest.mark.parametrize(("size", "lengths"), [(1, [1] * 5), (2, [2, 2, 1]), (4, [4, 1]), (5, [5]), (6, [5])])
async def test_pages_hold_every_task_once_newest_first(wire: Wire, size: int, lengths: list[int]) -> None:
    """R4: the last page has no token, also when it is full."""
    made = await run(wire, ADA, 5)
    await run(wire, BOB)
    pages = await listed(wire, ADA, size)
    assert [len(page) for page in pages] == lengths
    assert [task_id for page in pages for task_id in page] == made[::-1]


async def test_tasks_that_come_between_two_pages_are_in_neither(wire: Wire) -> None:
    """R4."""
    made = await run(wire, ADA, 4)
    page_token = await page_token_of(wire, ADA)
    await run(wire, ADA, 3)
    page = await wire.call("ListTasks", token=ADA, page_size=2, page_token=page_token)
    assert [task.task_id for task in page.tasks] == made[1::-1]


async def test_the_size_of_a_page_may_change_on_the_way(wire: Wire) -> None:
    """R4."""
    made = await run(wire, ADA, 5)
    page_token = await page_token_of(wire, ADA)
    page = await wire.call("ListTasks", token=ADA, page_size=50, page_token=page_token)
    assert [task.task_id for task in page.tasks] == made[2::-1]


async def test_pages_of_agents_are_ordered_by_id(wire: Wire) -> None:
    """C8."""
    seen: list[str] = []
    page_token = ""
    for length in (3, 3, 1):
        page = await wire.call("ListAgents", token=ADA, page_size=3, page_token=page_token)
        assert len(page.agents) == length
        seen += [agent.agent_id for agent in page.agents]
        page_token = page.next_page_token
    assert (seen, page_token) == (AGENTS, "")


async def test_pages_of_agents_hold_what_the_caller_may_run(wire: Wire) -> None:
    """C8."""
    some = token(scopes="agents:agent-05:run agents:agent-01:run agents:agent-03:read agents:agent-06:run")
    page = await wire.call("ListAgents", token=some, page_size=2)
    assert [agent.agent_id for agent in page.agents] == ["agent-01", "agent-05"]
    rest = await wire.call("ListAgents", token=some, page_size=2, page_token=page.next_page_token)
    assert ([agent.agent_id for agent in rest.agents], rest.next_page_token) == (["agent-06"], "")


@pytest.mark.parametrize(
    "filters",
    [
        {"states": ["TASK_STATE_COMPLETED"]},
        {"session_id": "s-1"},
        {"root_task_id": "01890000-0000-7000-8000-000000000000"},
        {"parent_task_id": "01890000-0000-7000-8000-000000000000"},
    ],
)
async def test_a_token_is_not_good_for_other_filters(wire: Wire, filters: dict[str, Any]) -> None:
    """R4 (refusal)."""
    await run(wire, ADA, 3)
    page_token = await page_token_of(wire, ADA)
    assert is_refused(await wire.ask("ListTasks", token=ADA, page_token=page_token, **filters))


@pytest.mark.parametrize("stranger", [BOB, BOSS, ELSEWHERE], ids=["user", "administrator", "tenant"])
async def test_a_token_is_not_good_for_another_caller(wire: Wire, stranger: str) -> None:
    """R4, I5 (refusal)."""
    await run(wire, ADA, 3)
    page_token = await page_token_of(wire, ADA)
    assert is_refused(await wire.ask("ListTasks", token=stranger, page_token=page_token))


async def test_a_token_is_not_good_for_another_method(wire: Wire) -> None:
    """R4."""
    await run(wire, ADA, 3)
    of_tasks = await page_token_of(wire, ADA)
    of_agents = await page_token_of(wire, ADA, "ListAgents")
    assert is_refused(await wire.ask("ListAgents", token=ADA, page_token=of_tasks))
    assert is_refused(await wire.ask("ListTasks", token=ADA, page_token=of_agents))


def encoded(value: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).decode()


@pytest.mark.parametrize(
    "garbage",
    [
        pytest.param("x", id="no base64"),
        pytest.param("ünï", id="no ascii"),
        pytest.param(base64.urlsafe_b64encode(b"not json").decode(), id="no JSON"),
        pytest.param(encoded({}), id="an object"),
        pytest.param(encoded([]), id="an empty list"),
        pytest.param(encoded(None), id="null"),
        pytest.param(base64.urlsafe_b64encode(b"[" * 100_000).decode(), id="nested without end"),
        pytest.param("A" * 60_000, id="too long"),
    ],
)
@pytest.mark.parametrize("name", ["ListTasks", "ListAgents"])
async def test_garbage_is_no_token(wire: Wire, name: str, garbage: str) -> None:
    """R4 (refusal)."""
    assert is_refused(await wire.ask(name, token=ADA, page_token=garbage))


@pytest.mark.parametrize(
    "position",
    [
        pytest.param(["soon", "x"], id="no time"),
        pytest.param(["9" * 30, "x"], id="a time beyond all dates"),
        pytest.param(["9" * 3_000, "x"], id="a number without end"),
        pytest.param(["1", "\ud800"], id="half a character"),
        pytest.param(["1", "a\0b"], id="a NUL"),
        pytest.param(["1"], id="too short"),
        pytest.param(["1", "x", "y"], id="too long"),
        pytest.param([["1"], {"x": 1}], id="no texts"),
    ],
)
async def test_a_token_that_was_changed_is_refused(wire: Wire, position: list[Any]) -> None:
    """R4: whoever takes one apart gets no server error, and no row of others."""
    await run(wire, ADA, 3)
    digest = json.loads(base64.urlsafe_b64decode(await page_token_of(wire, ADA)))[0]
    assert is_refused(await wire.ask("ListTasks", token=ADA, page_token=encoded([digest, *position])))


async def test_a_forged_position_shows_no_task_of_others(wire: Wire) -> None:
    """I5."""
    await run(wire, ADA, 3)
    await run(wire, BOB, 3)
    digest = json.loads(base64.urlsafe_b64decode(await page_token_of(wire, ADA)))[0]
    page = await wire.call("ListTasks", token=ADA, page_token=encoded([digest, str(2**52), "z"]))
    assert {task.user_id for task in page.tasks} == {"ada"}
