"""A person at a terminal decides what a real run waits for, while it goes on."""

from collections.abc import Iterator

import pytest
from pydantic_ai import Agent
from tests.support.stage import Stage, ask, do, task
from tests.support.terminals import PROGRAM, PseudoTerminal

from musterd.app import Musterd
from musterd.testing import serve
from musterd.testing.model import ChatRequest, FakeModel, Turn, call, text
from musterd_client import TaskState


@pytest.fixture
def terminal() -> Iterator[PseudoTerminal]:
    with PseudoTerminal.opened() as opened:
        yield opened


def answer(request: ChatRequest) -> Turn:
    """Pays and rings at once, then says what came of both."""
    if request.tool_results:
        return text(f"paying: {request.tool_results['one']}; ringing: {request.tool_results['two']}")
    return call("pay", {"euros": 30}, id="one") + call("ring", {}, id="two")


async def test_two_calls_of_one_response_are_decided_one_after_the_other(terminal: PseudoTerminal) -> None:
    """N2: one with other arguments, one denied, on the stream of the run itself."""
    paid: list[int] = []
    async with FakeModel(answer) as model:
        shop = Agent(model.as_model(), name="shop")

        @shop.tool_plain(requires_approval=True)
        async def pay(euros: int) -> str:
            paid.append(euros)
            return f"{euros} euros"

        @shop.tool_plain(requires_approval=True)
        async def ring() -> str:
            raise AssertionError("nobody agreed to this")

        async with serve(Musterd(agents=[shop])) as client:
            command = (*PROGRAM, "run", "agent", "shop", "Go", "--target", client.target)
            code, written = await terminal.run(
                *command,
                answers=[
                    ("May it run?", "e"),
                    ("JSON object:", '{"euros": 3}'),
                    ("May it run?", "n"),
                    ("Why not?", "it is late"),
                ],
            )
            (run,) = [each async for each in client.tasks.list(agent_id="shop")]

    assert (code, paid) == (0, [3])
    assert (run.state, run.approvals) == (TaskState.COMPLETED, ())
    assert written.splitlines()[-1] == "paying: 3 euros; ringing: it is late"


async def test_a_question_of_a_child_is_answered_at_the_terminal(terminal: PseudoTerminal) -> None:
    """R7, S7."""
    stage = Stage()
    async with serve(stage.app()) as client:
        command = (*PROGRAM, "run", "agent", "boss", do(task(do(ask("which?")), "sync")), "--target", client.target)
        code, written = await terminal.run(*command, answers=[("Your answer", "the left one")])

    assert code == 0
    assert "the left one" in written.splitlines()[-1]
