import asyncio
from collections.abc import Iterator

import pytest
from tests.support.terminals import PROGRAM, PseudoTerminal
from tests.unit.client.messages import (
    CHILD_ID,
    TASK_ID,
    a_task,
    approval_requested,
    approval_resolved,
    completed,
    event,
    team_message,
    text,
)
from tests.unit.client.scripted import Gate, Hang, Opens, ScriptedServer

from musterd_client.v1.component_pb2 import ComponentRef
from musterd_client.v1.event_pb2 import SubtaskStarted
from musterd_client.v1.session_service_pb2 import ListSessionsResponse, Session
from musterd_client.v1.task_service_pb2 import ListTasksResponse, ResolveTaskResponse, TaskStatusResponse

HIDE_CURSOR, SHOW_CURSOR = "\x1b[?25l", "\x1b[?25h"
SCOUT = ComponentRef(kind="COMPONENT_KIND_MEMBER", id="scout")


@pytest.fixture
def terminal() -> Iterator[PseudoTerminal]:
    with PseudoTerminal.opened() as opened:
        yield opened


def will_run(server: ScriptedServer) -> None:
    began = SubtaskStarted(subtask_id=CHILD_ID, component=SCOUT, description="look around")
    server.will("RunTeam", team_message(event(1, subtask_started=began), text(2, "Go."), completed(3), task=a_task()))


async def test_on_a_terminal_a_run_is_a_live_tree_with_the_answer_at_the_end(
    server: ScriptedServer, terminal: PseudoTerminal
) -> None:
    """T1."""
    will_run(server)

    code, written = await terminal.run(*PROGRAM, "run", "team", "advisers", "--target", server.target)

    assert code == 0
    assert HIDE_CURSOR in written
    *_, root, scout, answer = written.splitlines()
    assert ("greeter" in root, "COMPLETED" in root) == (True, True)
    assert ("└─ " in scout, "look around" in scout) == (True, True)
    assert answer == "Hello"


async def test_an_interrupt_gives_the_terminal_back_and_says_how_to_watch_again(
    server: ScriptedServer, terminal: PseudoTerminal
) -> None:
    """R3."""
    server.will("RunTeam", team_message(text(1, "Go."), task=a_task()), Hang())
    command = (*PROGRAM, "run", "team", "advisers", "--target", server.target)

    code, written = await terminal.run(*command, interrupt_at=HIDE_CURSOR)

    assert code == 130
    assert written.count(HIDE_CURSOR) == written.count(SHOW_CURSOR) == 1
    assert f"musterd tasks watch {TASK_ID} --after 1" in written.rpartition(SHOW_CURSOR)[2]


async def test_a_terminal_that_cannot_move_its_cursor_gets_lines(
    server: ScriptedServer, terminal: PseudoTerminal
) -> None:
    """T1."""
    will_run(server)

    code, written = await terminal.run(*PROGRAM, "run", "team", "advisers", "--target", server.target, term="dumb")

    assert code == 0
    assert HIDE_CURSOR not in written
    assert "⇢ scout: look around" in written


async def test_on_a_terminal_a_stored_tree_is_a_table(server: ScriptedServer, terminal: PseudoTerminal) -> None:
    """R4."""
    server.will("TaskStatus", TaskStatusResponse(task=a_task()))
    server.will("ListTasks", ListTasksResponse(tasks=[a_task(CHILD_ID, component=SCOUT)]))

    code, written = await terminal.run(*PROGRAM, "tasks", "tree", TASK_ID, "--target", server.target)

    assert code == 0
    assert "└─ " in written
    assert CHILD_ID in written


async def test_what_others_named_does_not_steer_the_terminal(server: ScriptedServer, terminal: PseudoTerminal) -> None:
    """N2: nor does it break the line."""
    session = Session(session_id="a\x1b[2J\nb", component=SCOUT)
    server.will("ListSessions", ListSessionsResponse(sessions=[session]))

    code, written = await terminal.run(*PROGRAM, "sessions", "list", "--target", server.target)

    assert code == 0
    assert written.startswith("a[2J b ")
    assert len(written.splitlines()) == 1


@pytest.mark.parametrize("term", ["xterm", "dumb"])
async def test_a_person_at_the_terminal_is_asked_for_an_approval(
    server: ScriptedServer, terminal: PseudoTerminal, term: str
) -> None:
    """N2."""
    gate = Gate()
    rest = team_message(approval_resolved(2), completed(3))
    server.will("RunTeam", team_message(approval_requested(1), task=a_task()), gate, rest)
    server.will("ResolveTask", Opens(gate), ResolveTaskResponse())
    command = (*PROGRAM, "run", "team", "advisers", "--target", server.target)

    code, written = await terminal.run(*command, term=term, answers=[("May it run?", "y")])

    assert code == 0
    assert written.splitlines()[-1 if term == "xterm" else -2] == "Hello"
    assert written.count(HIDE_CURSOR) == written.count(SHOW_CURSOR)
    (request,) = server.requests("ResolveTask")
    assert [(each.approval_id, each.verdict) for each in request.resolutions] == [("a-1", 1)]


async def test_an_interrupt_at_a_question_detaches_as_anywhere_else(
    server: ScriptedServer, terminal: PseudoTerminal
) -> None:
    """N2, R3."""
    server.will("RunTeam", team_message(approval_requested(1), task=a_task()), Hang())
    command = (*PROGRAM, "run", "team", "advisers", "--target", server.target)

    code, written = await terminal.run(*command, interrupt_at="May it run?")

    assert code == 130
    assert f"musterd tasks watch {TASK_ID} --after 1" in written.rpartition(SHOW_CURSOR)[2]
    assert "Traceback" not in written


@pytest.mark.parametrize("how", ["--no-prompt", "no terminal to type at"])
async def test_where_nobody_is_asked_the_command_to_use_is_shown(
    server: ScriptedServer, terminal: PseudoTerminal, how: str
) -> None:
    """N2."""
    server.will("RunTeam", team_message(approval_requested(1), completed(2), task=a_task()))
    command = (*PROGRAM, "run", "team", "advisers", "--target", server.target)
    is_told = how == "--no-prompt"

    code, written = await terminal.run(
        *command, *([how] if is_told else []), stdin=None if is_told else asyncio.subprocess.DEVNULL
    )

    assert code == 0
    assert f"musterd tasks resolve {TASK_ID} --approval a-1 --target {server.target}" in written
    assert "May it run?" not in written
