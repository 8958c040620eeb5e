"""What models write that makes no sense is answered with a text on every store, and fails no run."""

from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager

import pytest
from pydantic_ai import Agent
from tests.integration.replicas.served import serving
from tests.support.actors import Call, saying, steps, what_came

from musterd import Musterd
from musterd.store.postgres.connection import Database
from musterd.subagents import DynamicAgentRegistry, create_agent_factory_toolset, create_subagent_toolset
from musterd.teams import create_team_toolset
from musterd.testing import serve
from musterd_client import MusterdClient

NUL = "a\0b"
HUGE = "".join(chr(ord("a") + index * index % 26) for index in range(100_000))
UNKNOWN_TASKS: list[Call] = [
    (tool, {"task_id": task_id, **more})
    for task_id in (NUL, HUGE, "")
    for tool, more in (
        ("check_task", {}),
        ("soft_cancel_task", {}),
        ("hard_cancel_task", {}),
        ("send_message_to_subagent", {"message": "hello"}),
        ("answer_subagent", {"answer": "blue"}),
    )
]
UNKNOWN_TODOS: list[Call] = [
    (tool, {"todo_id": todo_id}) for todo_id in (NUL, HUGE) for tool in ("claim_todo", "complete_todo", "remove_todo")
]


Serve = Callable[[Musterd], AbstractAsyncContextManager[MusterdClient]]


@pytest.fixture(params=["sqlite", "postgres"])
def serve_app(request: pytest.FixtureRequest) -> Serve:
    """Return what serves an app on one kind of store, and gives a client."""
    if request.param == "sqlite":
        return serve
    database: Database = request.getfixturevalue("postgres_database")

    @asynccontextmanager
    async def serve_on_postgres(app: Musterd) -> AsyncGenerator[MusterdClient]:
        async with serving(database, app, count=1) as replicas:
            yield replicas.clients[0]

    return serve_on_postgres


async def test_ids_that_no_store_can_look_for_are_unknown(serve_app: Serve) -> None:
    """S5, S6, S7, S8, S9, T5 (refusal)."""
    registry = DynamicAgentRegistry()
    model = steps(
        [*UNKNOWN_TASKS, ("wait_tasks", {"task_ids": [NUL, HUGE]})],
        [("spawn_team", {"team_name": NUL, "members": [{"name": "ann", "role": NUL}]})],
        [*UNKNOWN_TODOS, ("message_teammate", {"member_name": NUL, "message": NUL})],
        [("task", {"description": "x", "subagent_type": NUL}), ("remove_agent", {"name": NUL})],
        what_came,
    )
    boss = Agent(
        model.model,
        name="boss",
        toolsets=[
            create_subagent_toolset(registry=registry),
            create_agent_factory_toolset(registry),
            create_team_toolset(),
        ],
    )
    async with serve_app(Musterd(agents=[boss])) as client:
        await client.run_agent("boss", "go").result()
    returns = model.readings[-1].returns
    tasks, rest = returns[: len(UNKNOWN_TASKS)], returns[len(UNKNOWN_TASKS) :]
    assert tasks == [f"Error: Task '{call[1]['task_id']}' not found" for call in UNKNOWN_TASKS]
    assert rest[0] == f"Task results (mode=all, 0/2 finished):\n\n- {NUL}: not found\n\n- {HUGE}: not found"
    assert rest[1].startswith(f"Team '{NUL}' created with 1 members")
    assert all(text.startswith("Error: there is no todo ") for text in rest[2:8])
    assert rest[8] == f"Error: Member '{NUL}' not found. Available: ann"
    assert rest[9:] == [
        f"Error: Unknown subagent '{NUL}'. Available: general-purpose",
        f"Error: Agent '{NUL}' not found.",
    ]


async def test_the_longest_names_can_be_stored(serve_app: Serve) -> None:
    """T5, S10: of an agent and a member that a model makes."""
    registry, made = DynamicAgentRegistry(), saying("done")
    name = HUGE[:128]
    model = steps(
        [("create_agent", {"name": name, "description": "d", "instructions": "i"})],
        [("task", {"description": "x", "subagent_type": name})],
        [("spawn_team", {"team_name": "crew", "members": [{"name": "日" * 128}]})],
        [("message_teammate", {"member_name": "日" * 128, "message": "hello"})],
        [("assign_task", {"member_name": "日" * 128, "task_description": "x"})],
        what_came,
    )
    boss = Agent(
        model.model,
        name="boss",
        toolsets=[
            create_subagent_toolset(registry=registry),
            create_agent_factory_toolset(registry, default_agent_factory=lambda config: made.member(config["name"])),
            create_team_toolset(agent_factory=lambda config: made.member(config["name"])),
        ],
    )
    async with serve_app(Musterd(agents=[boss])) as client:
        await client.run_agent("boss", "go").result()
    _, said, spawned, told, assigned = model.readings[-1].returns
    assert said == "done"
    assert spawned.startswith("Team 'crew' created")
    assert told.startswith("Message recorded for")
    assert assigned.startswith("Task assigned to")
