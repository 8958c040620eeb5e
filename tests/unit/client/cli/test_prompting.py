import asyncio
import os
import pty
from collections.abc import Iterator
from dataclasses import dataclass, field
from io import StringIO

import grpc
import pytest
from rich.console import Console
from tests.unit.client.messages import (
    CHILD_ID,
    TASK_ID,
    a_task,
    an_approval,
    approval_requested,
    approval_resolved,
    completed,
    event,
    question_asked,
    run_message,
    text,
)
from tests.unit.client.scripted import Gate, Opens, Refusal, ScriptedServer

from musterd.cli.connection import Connection
from musterd.cli.following import follow
from musterd.cli.live import LiveTree
from musterd.cli.prompting import Prompter
from musterd.cli.terminal import Terminal, is_in_foreground
from musterd_client import Event, MusterdClient, Task
from musterd_client.v1 import task_pb2
from musterd_client.v1.event_pb2 import QuestionAnswered, QuestionExpired, RunEvent
from musterd_client.v1.task_service_pb2 import AnswerTaskResponse, ResolveTaskResponse, Verdict

END_OF_INPUT = "\x04"
TOOL = an_approval()
OTHER = an_approval("a-2", tool_name="ring")
EXTERNAL = an_approval(kind="APPROVAL_KIND_EXTERNAL", tool_name="ring")
REVIEW = an_approval(kind="APPROVAL_KIND_REVIEW", tool_name="draft", arguments_json='"A poem"', text="good enough?")


class Paper(StringIO):
    """Keeps what is written, and tells when something is."""

    def __init__(self) -> None:
        super().__init__()
        self._waiting: list[tuple[str, int, asyncio.Event]] = []

    def write(self, s: str, /) -> int:
        count = super().write(s)
        for mark, times, seen in self._waiting:
            if self.getvalue().count(mark) >= times:
                seen.set()
        return count

    async def seen(self, mark: str, times: int = 1) -> None:
        """Returns once something has been written so many times."""
        seen = asyncio.Event()
        self._waiting.append((mark, times, seen))
        if self.getvalue().count(mark) < times:
            await seen.wait()


class Screen(LiveTree):
    """A live tree that notes the kinds of events that it is given, shown or kept."""

    def __init__(self, kinds: Paper, *, out: Console, err: Console) -> None:
        super().__init__(out=out, err=err)
        self._kinds = kinds

    def show(self, event: Event, task: Task) -> None:
        super().show(event, task)
        self._kinds.write(event.kind)


@dataclass(frozen=True, kw_only=True)
class Person:
    """Somebody at a terminal, who reads what is asked and types."""

    server: ScriptedServer
    client: MusterdClient
    keyboard: int
    terminal: int
    paper: Paper = field(default_factory=Paper)
    screen: Paper = field(default_factory=Paper)
    kinds: Paper = field(default_factory=Paper)

    async def follows(self) -> int:
        """Runs an agent, sees it as a live tree, and is asked for what it waits for."""
        screen = Console(file=self.screen, force_terminal=True, width=100, height=20)
        display = Screen(self.kinds, out=Console(file=self.screen), err=screen)
        prompter = Prompter(self.client, Terminal(Console(file=self.paper), self.terminal), display)
        connection = Connection(target=self.server.target)
        return await follow(self.client.run_agent("greeter"), display, connection, prompter=prompter)

    def type(self, line: str) -> None:
        os.write(self.keyboard, line.encode() if line == END_OF_INPUT else f"{line}\n".encode())

    async def answers(self, *pairs: tuple[str, str]) -> None:
        """Waits for each question, counted from the beginning, and types its answer."""
        asked: list[str] = []
        for question, line in pairs:
            asked.append(question)
            await self.paper.seen(question, asked.count(question))
            self.type(line)


HIDE_CURSOR, SHOW_CURSOR = "\x1b[?25l", "\x1b[?25h"


@pytest.fixture
def person(server: ScriptedServer, client: MusterdClient) -> Iterator[Person]:
    keyboard, terminal = pty.openpty()
    yield Person(keyboard=keyboard, terminal=terminal, server=server, client=client)
    os.close(keyboard)
    os.close(terminal)


def will_ask(server: ScriptedServer, *asked: RunEvent, then: RunEvent | None = None) -> Gate:
    """Lets the run ask, and end once the gate is open."""
    gate = Gate()
    *_, before = (*asked, then) if then else asked
    last = run_message(*([then] if then else []), completed(before.sequence + 1))
    server.will("RunAgent", run_message(*asked, task=a_task()), gate, last)
    return gate


def will_take(server: ScriptedServer, gate: Gate) -> None:
    """Lets the server take one decision or answer, after which the run goes on."""
    for method, response in (("ResolveTask", ResolveTaskResponse()), ("AnswerTask", AnswerTaskResponse())):
        server.will(method, Opens(gate), response)


def decision(server: ScriptedServer) -> tuple[str, str, str, str]:
    (request,) = server.requests("ResolveTask")
    (made,) = request.resolutions
    assert (request.task_id, made.approval_id) == (TASK_ID, "a-1")
    assert request.request_id
    return Verdict.Name(made.verdict), made.arguments_json, made.reason, made.result_json


@pytest.mark.parametrize(
    ("approval", "answers", "made"),
    [
        (TOOL, [("May it run?", "y")], ("VERDICT_APPROVE", "", "", "")),
        (TOOL, [("May it run?", "Yes")], ("VERDICT_APPROVE", "", "", "")),
        (TOOL, [("May it run?", "n"), ("Why not?", "too dear")], ("VERDICT_DENY", "", "too dear", "")),
        (
            TOOL,
            [("May it run?", "e"), ("JSON object:", '{"euros": 1}')],
            ("VERDICT_APPROVE", '{"euros": 1}', "", ""),
        ),
        (
            TOOL,
            [
                ("May it run?", ""),
                ("May it run?", "perhaps"),
                ("May it run?", "edit"),
                ("JSON object:", "{euros"),
                ("JSON object:", "[1]"),
                ("JSON object:", '{"euros": NaN}'),
                ("JSON object:", r'{"euros": "\ud83d"}'),
                ("JSON object:", "{}"),
            ],
            ("VERDICT_APPROVE", "{}", "", ""),
        ),
        (
            EXTERNAL,
            [("What came of it?", "r"), ("as JSON:", '"nobody there"')],
            ("VERDICT_RESULT", "", "", '"nobody there"'),
        ),
        (
            EXTERNAL,
            [("What came of it?", "y"), ("What came of it?", "n"), ("Why not?", "")],
            ("VERDICT_DENY", "", "", ""),
        ),
        (REVIEW, [("Is this right?", "r"), ("as JSON:", '"A haiku"')], ("VERDICT_RESULT", "", "", '"A haiku"')),
    ],
    ids=["approve", "a word", "deny", "edit", "second thoughts", "external", "external denied", "review"],
)
async def test_what_is_typed_is_decided(
    server: ScriptedServer,
    person: Person,
    approval: task_pb2.Approval,
    answers: list[tuple[str, str]],
    made: tuple[str, str, str, str],
) -> None:
    """N2."""
    gate = will_ask(server, approval_requested(1, approval), then=approval_resolved(2))
    will_take(server, gate)

    code, _ = await asyncio.gather(person.follows(), person.answers(*answers))

    assert (code, decision(server)) == (0, made)


async def test_a_question_says_what_it_is_about(server: ScriptedServer, person: Person) -> None:
    """N2."""
    will_take(server, will_ask(server, approval_requested(1, REVIEW), then=approval_resolved(2)))

    await asyncio.gather(person.follows(), person.answers(("Is this right?", "y")))

    assert person.paper.getvalue().startswith('draft "A poem": good enough?\nIs this right? [y]es, [n]o,')


async def test_a_question_of_a_child_is_answered(server: ScriptedServer, person: Person) -> None:
    """S7, R7."""
    will_take(server, will_ask(server, question_asked(1, task_id=CHILD_ID)))

    code, _ = await asyncio.gather(person.follows(), person.answers(("Which one?\nYour answer", " the blue one ")))

    (request,) = server.requests("AnswerTask")
    assert (code, request.task_id, request.question_id, request.answer) == (0, CHILD_ID, "q-1", "the blue one")


async def test_one_is_asked_for_after_the_other(server: ScriptedServer, person: Person) -> None:
    """N2: two tools of one response, one allowed and one not."""
    gate = will_ask(server, approval_requested(1), approval_requested(2, an_approval("a-2", tool_name="ring")))
    server.will("ResolveTask", ResolveTaskResponse())
    server.will("ResolveTask", Opens(gate), ResolveTaskResponse())

    await asyncio.gather(person.follows(), person.answers(("pay", "y"), ("ring", "n"), ("Why not?", "it is late")))

    decisions = [request.resolutions[0] for request in server.requests("ResolveTask")]
    assert [(each.approval_id, each.verdict) for each in decisions] == [("a-1", 1), ("a-2", 2)]


@pytest.mark.parametrize(
    ("asked", "then", "prompt"),
    [
        (approval_requested(1), approval_resolved(2, user_id="eve"), "May it run?"),
        (approval_requested(1), approval_resolved(2, state="EXPIRED"), "May it run?"),
        (question_asked(1), event(2, question_answered=QuestionAnswered(question_id="q-1", answer="b")), "Your answer"),
        (question_asked(1), event(2, question_expired=QuestionExpired(question_id="q-1")), "Your answer"),
        (question_asked(1, task_id=CHILD_ID), completed(2, task_id=CHILD_ID), "Your answer"),
    ],
    ids=["resolved", "expired", "answered", "question expired", "child ended"],
)
async def test_what_is_settled_elsewhere_is_not_asked_any_more(
    server: ScriptedServer, person: Person, asked: RunEvent, then: RunEvent, prompt: str
) -> None:
    """N2, R7."""
    settled, over = Gate(), Gate()
    rest = run_message(completed(3))
    server.will("RunAgent", run_message(asked, task=a_task()), settled, run_message(then), over, rest)

    following = asyncio.ensure_future(person.follows())
    await person.paper.seen(prompt)
    settled.opened.set()
    await person.paper.seen("decided elsewhere")
    over.opened.set()

    assert await following == 0
    assert not server.requests("ResolveTask") + server.requests("AnswerTask")


async def test_no_question_outlives_the_run(server: ScriptedServer, person: Person) -> None:
    """N2: half a line that was typed by then is nobody's."""
    gate = will_ask(server, approval_requested(1))

    following = asyncio.ensure_future(person.follows())
    await person.paper.seen("May it run?")
    os.write(person.keyboard, b"y")
    gate.opened.set()

    assert await following == 0
    person.type("n")
    assert os.read(person.terminal, 100) == b"n\n"
    assert not server.requests("ResolveTask")


async def test_what_was_typed_before_the_question_does_not_answer_it(server: ScriptedServer, person: Person) -> None:
    """N2: nobody agrees by accident."""
    person.type("y")
    gate = will_ask(server, approval_requested(1), then=approval_resolved(2))
    will_take(server, gate)

    await asyncio.gather(person.follows(), person.answers(("May it run?", "n"), ("Why not?", "")))

    assert decision(server)[0] == "VERDICT_DENY"


@pytest.mark.parametrize("typed", ["l", END_OF_INPUT], ids=["later", "end of input"])
async def test_what_is_left_for_later_is_left_alone(server: ScriptedServer, person: Person, typed: str) -> None:
    """N2: how to decide it elsewhere was said."""
    gate = will_ask(server, approval_requested(1))

    following = asyncio.ensure_future(person.follows())
    await person.answers(("May it run?", typed))
    gate.opened.set()

    assert await following == 0
    assert not server.requests("ResolveTask")
    assert f"musterd tasks resolve {TASK_ID} --approval a-1" in person.screen.getvalue()


async def test_after_the_end_of_input_nothing_is_asked(server: ScriptedServer, person: Person) -> None:
    """N2."""
    more, over = Gate(), Gate()
    later = run_message(approval_requested(2, an_approval("a-2")))
    server.will(
        "RunAgent", run_message(approval_requested(1), task=a_task()), more, later, over, run_message(completed(3))
    )

    following = asyncio.ensure_future(person.follows())
    await person.answers(("May it run?", END_OF_INPUT))
    more.opened.set()
    await person.screen.seen("approval a-2")
    over.opened.set()

    assert await following == 0
    assert person.paper.getvalue().count("May it run?") == 1


async def test_a_decision_that_the_server_refuses_is_told_and_the_run_goes_on(
    server: ScriptedServer, person: Person
) -> None:
    """N2."""
    gate = will_ask(server, approval_requested(1))
    code = grpc.StatusCode.FAILED_PRECONDITION
    server.will("ResolveTask", Refusal(code=code, reason="APPROVAL_CONFLICT", message="it was denied"))

    following = asyncio.ensure_future(person.follows())
    await person.answers(("May it run?", "y"))
    await person.paper.seen("The server did not take it: APPROVAL_CONFLICT: it was denied")
    gate.opened.set()

    assert await following == 0


async def test_the_decision_that_comes_back_as_an_event_does_not_break_its_own_call(
    server: ScriptedServer, person: Person
) -> None:
    """N2: the stream may be faster than the answer to the call."""
    gate, over, ended = Gate(), Gate(), Gate()
    asked, told = run_message(approval_requested(1), task=a_task()), run_message(approval_resolved(2))
    server.will(
        "RunAgent", asked, gate, told, run_message(approval_requested(3, an_approval("a-2"))), run_message(completed(4))
    )
    server.will("ResolveTask", Opens(gate), over, ResolveTaskResponse())

    following = asyncio.ensure_future(person.follows())
    await person.answers(("May it run?", "y"))
    await person.kinds.seen("approval_resolved")
    over.opened.set()
    await person.screen.seen("approval a-1 approved")
    ended.opened.set()

    assert await following == 0
    assert "elsewhere" not in person.paper.getvalue()


async def test_while_it_asks_the_tree_is_off_the_screen_and_lines_are_kept(
    server: ScriptedServer, person: Person
) -> None:
    """N2."""
    gate = Gate()
    meanwhile = run_message(text(2, "Hm."), approval_requested(3, an_approval("a-2")))
    server.will(
        "RunAgent", run_message(approval_requested(1), task=a_task()), meanwhile, gate, run_message(completed(4))
    )
    server.will("ResolveTask", ResolveTaskResponse())
    server.will("ResolveTask", Opens(gate), ResolveTaskResponse())

    following = asyncio.ensure_future(person.follows())
    await person.paper.seen("May it run?")
    shown = person.screen.getvalue()
    assert shown.count(HIDE_CURSOR) == shown.count(SHOW_CURSOR)
    assert "approval a-2" not in shown
    await person.answers(("May it run?", "y"), ("May it run?", "y"))

    assert await following == 0
    assert "approval a-2" in person.screen.getvalue()


def test_a_terminal_that_no_shell_shares_out_is_ours(person: Person) -> None:
    assert is_in_foreground(person.terminal)
