import asyncio
import os
import pty
import signal
import sys
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from tests.unit.client.messages import CHILD_ID, TASK_ID, a_task, completed, event, team_message, text
from tests.unit.client.scripted import Hang, ScriptedServer

from musterd_client.v1.component_pb2 import ComponentRef
from musterd_client.v1.event_pb2 import SubtaskStarted
from musterd_client.v1.task_service_pb2 import ListTasksResponse, TaskStatusResponse

PROGRAM = (sys.executable, "-c", "from musterd.cli import main; main()")
HIDE_CURSOR, SHOW_CURSOR = "\x1b[?25l", "\x1b[?25h"
END_MARK = "\x04"
SCOUT = ComponentRef(kind="COMPONENT_KIND_MEMBER", id="scout")


@dataclass(frozen=True, kw_only=True)
class Pty:
    """A terminal of the system: what a program writes at `program_end` can be read at `our_end`."""

    our_end: int
    program_end: int

    async def run(self, *command: str, term: str = "xterm", interrupt_at: str = "") -> tuple[int | None, str]:
        """Runs a command on the terminal; returns its exit code and all that it wrote.

        It is interrupted once it has written `interrupt_at`.
        """
        env = {**os.environ, "TERM": term, "COLUMNS": "100", "LINES": "20"}
        process = await asyncio.create_subprocess_exec(
            *command, stdin=self.program_end, stdout=self.program_end, stderr=self.program_end, env=env
        )
        written = ""
        if interrupt_at:
            written = await asyncio.to_thread(self._read_to, interrupt_at)
            process.send_signal(signal.SIGINT)
        reading = asyncio.create_task(asyncio.to_thread(self._read_to, END_MARK))
        await process.wait()
        os.write(self.program_end, END_MARK.encode())
        return process.returncode, written + (await reading).removesuffix(END_MARK)

    def _read_to(self, mark: str) -> str:
        written = b""
        while mark.encode() not in written:
            written += os.read(self.our_end, 65_536)
        return written.decode()


@pytest.fixture
def terminal() -> Iterator[Pty]:
    our_end, program_end = pty.openpty()
    yield Pty(our_end=our_end, program_end=program_end)
    os.close(our_end)
    os.close(program_end)


def will_run(server: ScriptedServer) -> None:
    began = SubtaskStarted(subtask_id=CHILD_ID, component=SCOUT, description="look around")
    server.will("RunTeam", team_message(event(1, subtask_started=began), text(2, "Go."), completed(3), task=a_task()))


async def test_on_a_terminal_a_run_is_a_live_tree_with_the_answer_at_the_end(
    server: ScriptedServer, terminal: Pty
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
    server: ScriptedServer, terminal: Pty
) -> None:
    """R3."""
    server.will("RunTeam", team_message(text(1, "Go."), task=a_task()), Hang())
    command = (*PROGRAM, "run", "team", "advisers", "--target", server.target)

    code, written = await terminal.run(*command, interrupt_at=HIDE_CURSOR)

    assert code == 130
    assert written.count(HIDE_CURSOR) == written.count(SHOW_CURSOR) == 1
    assert f"musterd tasks watch {TASK_ID} --after 1" in written.rpartition(SHOW_CURSOR)[2]


async def test_a_terminal_that_cannot_move_its_cursor_gets_lines(server: ScriptedServer, terminal: Pty) -> None:
    """T1."""
    will_run(server)

    code, written = await terminal.run(*PROGRAM, "run", "team", "advisers", "--target", server.target, term="dumb")

    assert code == 0
    assert HIDE_CURSOR not in written
    assert "⇢ scout: look around" in written


async def test_on_a_terminal_a_stored_tree_is_a_table(server: ScriptedServer, terminal: Pty) -> None:
    """R4."""
    server.will("TaskStatus", TaskStatusResponse(task=a_task()))
    server.will("ListTasks", ListTasksResponse(tasks=[a_task(CHILD_ID, component=SCOUT)]))

    code, written = await terminal.run(*PROGRAM, "tasks", "tree", TASK_ID, "--target", server.target)

    assert code == 0
    assert "└─ " in written
    assert CHILD_ID in written
