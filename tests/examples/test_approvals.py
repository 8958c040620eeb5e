"""examples/approvals.py: a clerk who asks, a manager who decides, and a server that stops in between."""

from pathlib import Path

import pytest
from examples.approvals import app, decide_as_manager, handle, main, make_app, play

from musterd.domain.task import ComponentKind
from musterd.testing import serve
from musterd.testing.model import FakeModel
from musterd_client import Approval, ApprovalKind, ApprovalRequested, Resolution, TaskState

ANSWER = 'paid 4950 cents. keep it open until the goods are back. {"comes":"on Monday"}'


class CountingShop:
    """A shop that knows what was done in it."""

    def __init__(self) -> None:
        self.done: list[str] = []

    async def pay_back(self, order: str, cents: int) -> str:
        self.done.append(f"pay {cents} for {order}")
        return f"paid {cents} cents"

    async def close(self, order: str) -> str:
        self.done.append(f"close {order}")
        return "closed"


async def test_the_manager_changes_denies_and_gives_a_result() -> None:
    """N2: each decision reaches the model, and the tool runs with the manager's arguments."""
    shop = CountingShop()
    async with FakeModel(play) as model, serve(make_app(model.as_model(), shop)) as client:
        answer = await handle(client, "It is broken.", decide_as_manager)
    assert (answer, shop.done) == (ANSWER, ["pay 4950 for 17"])


async def test_a_small_refund_needs_nobody() -> None:
    """N2: a tool that raises ApprovalRequired decides by its arguments."""
    shop, asked = CountingShop(), list[str]()

    def deny(approval: Approval) -> Resolution:
        asked.append(approval.tool_name)
        return Resolution.deny(approval.approval_id, reason="no")

    async with FakeModel(play) as model, serve(make_app(model.as_model(), shop)) as client:
        await handle(client, "It has a scratch.", deny)
    assert (sorted(asked), shop.done) == (["book_courier", "close_order"], ["pay 900 for 17"])


async def test_decisions_come_after_a_restart(tmp_path: Path) -> None:
    """N2: the first process has asked, the second one does what is approved, once."""
    before, after = CountingShop(), CountingShop()
    async with FakeModel(play) as model:
        async with (
            serve(make_app(model.as_model(), before), folder=tmp_path) as client,
            client.run_agent("clerk", "It is broken.") as run,
        ):
            asked = 0
            async for event in run:
                asked += isinstance(event, ApprovalRequested)
                if asked == 3:
                    break
        async with serve(make_app(model.as_model(), after), folder=tmp_path) as client:
            task = await client.tasks.status(run.task.task_id)
            await client.tasks.resolve(task.task_id, [decide_as_manager(each) for each in task.approvals])
            async with client.tasks.watch(task.task_id) as watch:
                answer = (await watch.result()).text
    assert task.state is TaskState.INPUT_REQUIRED
    assert sorted((each.kind, each.text) for each in task.approvals) == [
        (ApprovalKind.EXTERNAL, ""),
        (ApprovalKind.TOOL, ""),
        (ApprovalKind.TOOL, "a refund of 99.00 for 17"),
    ]
    assert (answer, before.done, after.done) == (ANSWER, [], ["pay 4950 for 17"])


async def test_the_example_runs_without_a_key(capsys: pytest.CaptureFixture[str]) -> None:
    """N2: also the app with the model of a provider is made without one."""
    await main()
    lines = capsys.readouterr().out.splitlines()
    assert "DENIED: keep it open until the goods are back" in lines
    assert lines[-1].startswith("paid 4950 cents back for 17.")
    assert [info.ref.id for info in app.registry.list(ComponentKind.AGENT)] == ["clerk"]
