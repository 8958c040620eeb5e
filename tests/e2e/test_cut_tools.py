"""The server is killed while tools run, or before their results were used: what may run again, does, and no other."""

from dataclasses import dataclass

import pytest
import pytest_asyncio
from tests.e2e.reading import is_dense, log_of
from tests.e2e.shop import open_shop

from musterd.testing.model import ChatRequest, Turn, call, gate, text
from musterd_client import Event, TaskCompleted, TaskFailed, ToolCallCompleted, ToolCallStarted

TOOL_OF = {"charge me": "charge", "look it up": "look_up", "where is it?": "order_status"}
AGENT_OF = {"charge me": "clerk", "look it up": "clerk", "where is it?": "support"}


@dataclass(frozen=True, kw_only=True)
class Aftermath:
    """The logs of the tasks that were under way when the server died, by their messages, and what their tools did."""

    logs: dict[str, list[Event]]
    ledger: list[str]


def answer(request: ChatRequest) -> Turn:
    """Call the tool that the message is about, then say so; the answer about the order never comes."""
    if not request.tool_results:
        return call(TOOL_OF[request.prompt], {"order_id": "17"})
    return gate("held") if request.prompt == "where is it?" else text("done")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def aftermath(tmp_path_factory: pytest.TempPathFactory) -> Aftermath:
    """Kill a server with three tasks under way, and start it again without one of its tools."""
    async with open_shop(tmp_path_factory.mktemp("shop"), answer) as shop, shop.client() as client:
        async with shop.serving() as first_life:
            tasks = {
                message: await client.run_agent(agent, message, background=True).start()
                for message, agent in AGENT_OF.items()
            }
            await shop.gates.reached("charge")
            await shop.gates.reached("look_up")
            await shop.model.reached("held")
            await first_life.kill()
        shop.gates.release("charge")
        shop.gates.release("look_up")
        async with shop.serving(SHOP_WITHOUT="order_status"):
            logs = {message: await log_of(client, task.task_id) for message, task in tasks.items()}
        return Aftermath(logs=logs, ledger=shop.ledger())


def test_a_tool_cut_in_its_middle_does_not_run_again_and_its_task_is_lost(aftermath: Aftermath) -> None:
    """R3."""
    log = aftermath.logs["charge me"]
    assert [line for line in aftermath.ledger if "charge" in line] == ["charge 17 begins"]
    assert is_dense(log)
    assert isinstance(log[-1], TaskFailed)
    assert (log[-1].error.reason, log[-1].error.cause) == ("TASK_LOST", "TOOL_NOT_REPEATABLE")
    assert "charge" in log[-1].error.message


def test_a_tool_marked_as_repeatable_runs_again_and_its_task_completes(aftermath: Aftermath) -> None:
    """R3."""
    log = aftermath.logs["look it up"]
    lines = ["look_up 17 begins", "look_up 17 begins", "look_up 17 ends"]
    assert [line for line in aftermath.ledger if "look_up" in line] == lines
    assert is_dense(log)
    assert [type(event) for event in log if isinstance(event, ToolCallStarted | ToolCallCompleted)] == [
        ToolCallStarted,
        ToolCallCompleted,
    ]
    assert isinstance(log[-1], TaskCompleted)
    assert log[-1].output.text == "done"


def test_a_task_that_called_a_tool_that_is_gone_is_lost(aftermath: Aftermath) -> None:
    """C9."""
    log = aftermath.logs["where is it?"]
    assert [line for line in aftermath.ledger if "order_status" in line] == ["order_status 17 for ada"]
    assert is_dense(log)
    assert isinstance(log[-1], TaskFailed)
    assert (log[-1].error.reason, log[-1].error.cause) == ("TASK_LOST", "COMPONENT_CHANGED")
    assert "order_status" in log[-1].error.message
