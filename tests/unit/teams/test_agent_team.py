import asyncio

import pytest
from pydantic_ai.messages import ModelMessage, ModelResponse
from pydantic_ai.models.function import AgentInfo, FunctionModel
from tests.support.gated_model import Gate
from tests.support.scripts import Script, Turn

from musterd.domain.team_board import UnknownMemberError
from musterd.subagents.manager import TaskManager
from musterd.teams import AgentTeam, SharedTodoList, TeamMember, TeamMessageBus, TodoRefused


def member(name: str, *turns: Turn) -> TeamMember:
    return TeamMember(name, "worker", f"{name} works", "Do it well.", Script(*turns).model)


def member_of(name: str, script: Script) -> TeamMember:
    return TeamMember(name, "worker", f"{name} works", "Do it well.", script.model)


async def test_members_work_side_by_side_on_what_they_are_assigned() -> None:
    """T4: spawn starts nothing; wait_all gives what each said; their todos are done then."""
    team = AgentTeam("crew", [member("ann", "a page"), member("bob", "a picture"), member("cid")])
    handles = await team.spawn()
    assert {handle.status for handle in handles.values()} == {"idle"}
    written = await team.assign("ann", "write")
    await team.assign("bob", "draw")
    item = await team.shared_todos.get(written)
    assert item is not None
    assert (item.status, item.assigned_to, item.created_by) == ("in_progress", "ann", "leader")
    assert await team.wait_all() == {"ann": "a page", "bob": "a picture", "cid": "no result"}
    done = await team.shared_todos.get_all()
    assert [(each.status, each.result) for each in done] == [("completed", "a page"), ("completed", "a picture")]
    assert handles["ann"].status == "completed"
    assert handles["cid"].status == "idle"
    await team.dissolve()


async def test_a_team_works_on_what_it_is_given() -> None:
    """T4: a list, a bus and a task manager of the caller's own."""
    todos, bus, tasks = SharedTodoList(), TeamMessageBus(), TaskManager()
    team = AgentTeam("crew", [member("ann", "a page")], todos, bus, tasks)
    handles = await team.spawn()
    await team.assign("ann", "write")
    task_id = handles["ann"].task_id
    assert task_id is not None
    assert bus.registered_agents() == ["leader", "ann"]
    await team.wait_all()
    assert tasks.get_handle(task_id) is not None
    assert await todos.count() == 1


async def test_the_task_manager_keeps_the_latest_task_of_each_member() -> None:
    """T4: a team that works for long does not fill the memory; one that is dissolved leaves nothing."""
    tasks = TaskManager()
    team = AgentTeam("crew", [member("ann", "a page", "a poem"), member("bob", "a picture")], task_manager=tasks)
    await team.spawn()
    for name, what in (("ann", "write"), ("bob", "draw"), ("ann", "rhyme")):
        await team.assign(name, what)
        await team.wait_all()
    assert [handle.description for handle in tasks.list_handles()] == ["draw", "rhyme"]
    await team.dissolve()
    assert tasks.list_handles() == []


async def test_a_member_takes_part_with_tools_of_its_own() -> None:
    """T6: it adds a todo, claims and completes it, reads the list, and writes to the leader and the others."""
    todos = SharedTodoList()
    todo_id = await todos.add("find a title")
    ann = Script(
        ("claim_team_todo", {"todo_id": todo_id}),
        ("complete_team_todo", {"todo_id": todo_id, "result": "Spring"}),
        ("add_team_todo", {"content": "print it", "blocked_by": [todo_id]}),
        ("list_team_todos", {}),
        ("send_team_message", {"receiver": "leader", "content": "nearly done"}),
        ("send_team_message", {"receiver": "cid", "content": "hello"}),
        ("claim_team_todo", {"todo_id": "missing"}),
        "a page",
    )
    team = AgentTeam("crew", [member_of("ann", ann), member("bob")], todos)
    await team.spawn()
    await team.assign("ann", "write")
    assert (await team.wait_all())["ann"] == "a page"
    claimed, completed, added, listed, sent, unknown, missing = ann.returned_to()
    assert claimed == f"Todo '{todo_id}' is yours"
    assert completed == f"Todo '{todo_id}' is completed"
    assert added.startswith("Todo added (ID: ")
    assert f"- {todo_id} [completed] find a title (@ann)\n  Result: Spring" in listed
    assert "[pending] print it" in listed
    assert sent == "Message sent to 'leader'"
    assert unknown == "Error: there is no 'cid' in the team; there are leader, ann, bob"
    assert missing == "Error: there is no todo 'missing'"
    assert [message.content for message in await team.message_bus.receive("leader")] == ["nearly done"]
    assert [item.content for item in await todos.get_available()] == ["print it"]


async def test_a_message_goes_into_the_next_model_request_of_a_running_member() -> None:
    """T6: also one that another member sends to all."""
    gate, bob_wrote = Gate(), Gate()
    ann = Script(gate, ("list_team_todos", {}), "a page")
    bob = Script(("broadcast_team_message", {"content": "hi"}), bob_wrote, "done")
    team = AgentTeam("crew", [member_of("ann", ann), member_of("bob", bob)])
    await team.spawn()
    await team.assign("ann", "write")
    await gate.reached.wait()
    await team.assign("bob", "greet")
    await bob_wrote.reached.wait()
    await team.broadcast("be brief")
    gate.open()
    bob_wrote.open()
    await team.wait_all()
    assert ann.said_to(0) == ["write"]
    assert ann.said_to() == ["write", "[Message from bob] hi", "[Message from leader] be brief"]
    assert [message.content for message in await team.message_bus.receive("leader")] == ["hi"]


async def test_a_message_that_comes_as_a_member_is_about_to_end_keeps_it_going() -> None:
    """T6: so that none is lost."""
    gate = Gate()
    ann = Script(gate, "a page", "a short page")
    team = AgentTeam("crew", [member_of("ann", ann)])
    await team.spawn()
    await team.assign("ann", "write")
    await gate.reached.wait()
    await team.broadcast("be brief")
    gate.open()
    assert await team.wait_all() == {"ann": "a short page"}
    assert ann.said_to() == ["write", "[Message from leader] be brief"]


async def test_an_idle_member_reads_its_messages_when_it_runs() -> None:
    """T6: they wait in its inbox until then."""
    ann = Script("a page")
    team = AgentTeam("crew", [member_of("ann", ann)])
    await team.spawn()
    await team.broadcast("be brief")
    await team.assign("ann", "write")
    await team.wait_all()
    assert ann.said_to() == ["write", "[Message from leader] be brief"]


async def test_a_member_is_told_who_it_is_and_who_is_with_it() -> None:
    """T6: beside what its author tells it."""
    script = Script("a page")
    ann = TeamMember("ann", "writer", "writes", "Rhyme always.", script.model)
    team = AgentTeam("crew", [ann, member("bob")])
    await team.spawn()
    await team.assign("ann", "write")
    await team.wait_all()
    (told,) = script.instructions
    assert "Rhyme always." in told
    assert "You are 'ann' in the team 'crew', as its writer." in told
    assert "- bob (worker): bob works" in told


async def test_a_member_that_fails_frees_its_todo() -> None:
    """T4: wait_all tells why, and does not hang; T2: a dead claimant's item is released."""

    async def fail(messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
        raise RuntimeError("no ink")

    team = AgentTeam("crew", [TeamMember("ann", "writer", "writes", "", FunctionModel(fail)), member("bob", "done")])
    handles = await team.spawn()
    todo_id = await team.assign("ann", "write")
    await team.assign("bob", "wait")
    results = await team.wait_all()
    assert results == {"ann": "RuntimeError: no ink", "bob": "done"}
    assert handles["ann"].status == "failed"
    assert [item.id for item in await team.shared_todos.get_available()] == [todo_id]


async def test_a_member_without_a_model_fails_with_a_text_that_says_so() -> None:
    """T4: it does not take the others down."""
    team = AgentTeam("crew", [TeamMember("ann", "writer", "writes", "")])
    await team.spawn()
    await team.assign("ann", "write")
    assert "model" in (await team.wait_all())["ann"]


async def test_a_member_that_is_canceled_frees_its_todo_and_its_other_claims() -> None:
    """T4: canceled through the task manager; wait_all does not hang on it."""
    gate = Gate()
    todos = SharedTodoList()
    extra = await todos.add("extra")
    team = AgentTeam("crew", [member("ann", ("claim_team_todo", {"todo_id": extra}), gate, "never")], todos)
    handles = await team.spawn()
    todo_id = await team.assign("ann", "write")
    await gate.reached.wait()
    task_id = handles["ann"].task_id
    assert task_id is not None
    await team.task_manager.hard_cancel(task_id)
    assert await team.wait_all() == {"ann": "the member was canceled"}
    assert handles["ann"].status == "cancelled"
    assert [item.id for item in await todos.get_available()] == [extra, todo_id]


async def test_a_member_does_one_thing_after_the_other() -> None:
    """T4: what it is assigned while it works waits; its todo stays its own."""
    gate = Gate()
    ann = Script(gate, "first", "second")
    team = AgentTeam("crew", [member_of("ann", ann)])
    await team.spawn()
    await team.assign("ann", "one")
    await gate.reached.wait()
    later = await team.assign("ann", "two")
    item = await team.shared_todos.get(later)
    assert item is not None
    assert item.assigned_to == "ann"
    gate.open()
    assert await team.wait_all() == {"ann": "second"}
    assert [(each.status, each.result) for each in await team.shared_todos.get_all()] == [
        ("completed", "first"),
        ("completed", "second"),
    ]
    assert ann.said_to() == ["two"]


async def test_what_a_member_leaves_undone_is_free_when_it_ends() -> None:
    """T2: claimed and not completed is given up."""
    todos = SharedTodoList()
    extra = await todos.add("extra")
    team = AgentTeam("crew", [member("ann", ("claim_team_todo", {"todo_id": extra}), "a page")], todos)
    await team.spawn()
    await team.assign("ann", "write")
    await team.wait_all()
    assert [item.id for item in await todos.get_available()] == [extra]


async def test_waiting_for_a_team_cancels_nobody_when_it_is_given_up() -> None:
    """T4: the members go on."""
    gate = Gate()
    team = AgentTeam("crew", [member("ann", gate, "a page")])
    await team.spawn()
    await team.assign("ann", "write")
    await gate.reached.wait()
    waiting = asyncio.create_task(team.wait_all())
    await asyncio.sleep(0)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    gate.open()
    assert await team.wait_all() == {"ann": "a page"}


async def test_dissolving_a_team_cancels_its_members_and_takes_their_inboxes() -> None:
    """T4: its todos stay, free for others; it can be dissolved again, and spawned again."""
    gate = Gate()
    team = AgentTeam("crew", [member("ann", gate, "never", "a page")])
    handles = await team.spawn()
    todo_id = await team.assign("ann", "write")
    await team.assign("ann", "write more")
    await gate.reached.wait()
    await team.dissolve()
    await team.dissolve()
    assert handles["ann"].status == "cancelled"
    assert "ann" not in team.message_bus.registered_agents()
    assert todo_id in [item.id for item in await team.shared_todos.get_available()]
    assert len(await team.shared_todos.get_available()) == 2
    assert await team.wait_all() == {}
    assert (await team.spawn())["ann"].status == "idle"


async def test_a_team_refuses_work_for_nobody() -> None:
    """T4 (refusal): before it is spawned, for an unknown name, and without a text; nothing is left on the list."""
    team = AgentTeam("crew", [member("ann")])
    with pytest.raises(UnknownMemberError, match="nobody: spawn the team first"):
        await team.assign("ann", "write")
    await team.spawn()
    with pytest.raises(UnknownMemberError, match="there is no 'bob' in the team; there is ann"):
        await team.assign("bob", "write")
    with pytest.raises(TodoRefused, match="needs a text"):
        await team.assign("ann", " ")
    assert await team.shared_todos.count() == 0


def test_members_need_names_of_their_own() -> None:
    """T4 (refusal): `leader` is whoever leads the team."""
    with pytest.raises(ValueError, match="team 'crew': no member can be called 'ann'"):
        AgentTeam("crew", [member("ann"), member("ann")])
    with pytest.raises(ValueError, match="no member can be called 'leader'"):
        AgentTeam("crew", [member("leader")])
