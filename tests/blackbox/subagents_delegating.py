"""How tasks are given to subagents, followed, and waited for."""

from pydantic import BaseModel
from pydantic_ai.messages import ModelMessage
from tests.blackbox.subagent_scripts import UNKNOWN, RunParent, child, gated, on_last, over, parent, task, wait_all
from tests.support.gated_model import Gate
from tests.support.turns import Call, prompts, report, taking

from musterd.domain.ids import is_id


class DelegatingBehaviour:
    """Tasks are given, followed, and waited for."""

    async def test_a_sync_task_gives_its_result(self, run_parent: RunParent) -> None:
        """S3, S1."""
        agent = parent(over(child(taking(lambda messages: f"did: {prompts(messages)[0]}"))), task(), report)
        said = await run_parent(agent, "go")
        assert said.startswith("did: ")
        assert "do it" in said

    async def test_a_structured_result_comes_as_json(self, run_parent: RunParent) -> None:
        """S3."""

        class Found(BaseModel):
            city: str

        model = taking(("final_result", {"city": "Rome"}))
        config = child(model, agent_arguments={"output_type": Found}, can_ask_questions=False)
        assert await run_parent(parent(over(config), task(), report), "go") == '{"city":"Rome"}'

    async def test_an_unknown_name_is_answered_with_those_that_are_there(self, run_parent: RunParent) -> None:
        """S3 (refusal)."""
        said = await run_parent(parent(over(child(taking("x"))), task(name="nobody"), report), "go")
        assert said == "Error: Unknown subagent 'nobody'. Available: worker"

    async def test_a_task_without_a_description_is_refused(self, run_parent: RunParent) -> None:
        """S3 (refusal)."""
        said = await run_parent(parent(over(child(taking("x"))), task(description=" "), report), "go")
        assert said.startswith("Error: The description is empty.")

    async def test_an_async_task_is_waited_for_and_checked(self, run_parent: RunParent) -> None:
        """S3, S5, S6, S13: full ids, full results."""
        long = "word " * 2_000
        agent = parent(over(child(taking(long))), task("async"), wait_all(), on_last("check_task"), report)
        started, waited, checked = (await run_parent(agent, "go")).split("\n---\n")
        task_id = started.splitlines()[1].removeprefix("Task ID: ")
        assert is_id(task_id)
        assert f"Use check_task('{task_id}') to check status." in started
        assert waited == f"Task results (mode=all, 1/1 finished):\n\n- {task_id} (worker): COMPLETED\n{long}"
        lines = checked.splitlines()
        assert lines[:5] == [
            f"Task: {task_id}",
            "Subagent: worker",
            "Status: completed",
            "Description: do it",
            f"Result: {long}",
        ]
        assert lines[5].startswith("Usage: 1 requests, ")

    async def test_unknown_tasks_are_not_found(self, run_parent: RunParent) -> None:
        """S5, S6, S7, S8, S9 (refusal)."""
        calls: list[Call] = [
            ("check_task", {"task_id": UNKNOWN}),
            ("answer_subagent", {"task_id": UNKNOWN, "answer": "x"}),
            ("send_message_to_subagent", {"task_id": UNKNOWN, "message": "x"}),
            ("soft_cancel_task", {"task_id": UNKNOWN}),
            ("hard_cancel_task", {"task_id": "x"}),
            ("wait_tasks", {"task_ids": [UNKNOWN]}),
        ]
        *five, waited = (await run_parent(parent(over(), calls, report), "go")).split("\n---\n")
        assert five == [*[f"Error: Task '{UNKNOWN}' not found"] * 4, "Error: Task 'x' not found"]
        assert waited == f"Task results (mode=all, 0/1 finished):\n\n- {UNKNOWN}: not found"

    async def test_waiting_for_no_task_is_refused(self, run_parent: RunParent) -> None:
        """S6 (refusal)."""
        said = await run_parent(parent(over(), ("wait_tasks", {"task_ids": []}), report), "go")
        assert said.startswith("Error: task_ids is empty")

    async def test_active_tasks_are_listed_until_they_end(self, run_parent: RunParent) -> None:
        """S5."""
        gate = Gate()

        async def list_at_the_gate(_: list[ModelMessage]) -> Call:
            await gate.reached.wait()
            return "list_active_tasks", {}

        def let_go(messages: list[ModelMessage]) -> Call:
            gate.open()
            return wait_all()(messages)

        agent = parent(
            over(child(gated(gate))), task("async"), list_at_the_gate, let_go, ("list_active_tasks", {}), report
        )
        started, listed, _, at_last = (await run_parent(agent, "go")).split("\n---\n")
        task_id = started.splitlines()[1].removeprefix("Task ID: ")
        assert listed == f"Active background tasks:\n- {task_id}: worker (running) - do it"
        assert at_last == "No active background tasks."

    async def test_a_wait_that_times_out_cancels_nothing(self, run_parent: RunParent) -> None:
        """S6."""
        gate = Gate()

        async def wait_briefly(messages: list[ModelMessage]) -> Call:
            await gate.reached.wait()
            return wait_all(timeout=0)(messages)

        def let_go(messages: list[ModelMessage]) -> Call:
            gate.open()
            return wait_all()(messages)

        agent = parent(over(child(gated(gate))), task("async"), wait_briefly, let_go, report)
        _, first, second = (await run_parent(agent, "go")).split("\n---\n")
        assert first.startswith("Task results (mode=all, 0/1 finished, 1 still running):\n\n- ")
        assert first.endswith("(worker): running")
        assert second.endswith("(worker): COMPLETED\ndone")

    async def test_waiting_for_any_returns_with_the_first_and_tasks_run_at_a_time(self, run_parent: RunParent) -> None:
        """S6, S13: both tasks run while the other does."""
        slow, quick = Gate(), Gate()

        async def work(messages: list[ModelMessage]) -> str:
            await (slow if "slow" in prompts(messages)[0] else quick).wait()
            return "done"

        async def wait_any(messages: list[ModelMessage]) -> Call:
            await slow.reached.wait()
            await quick.reached.wait()
            quick.open()
            return wait_all(mode="any")(messages)

        agent = parent(over(child(taking(work))), [task("async", "slow"), task("async", "quick")], wait_any, report)
        *_, waited = (await run_parent(agent, "go")).split("\n---\n")
        assert waited.startswith("Task results (mode=any, 1/2 finished, 1 still running):")
        assert "(worker): COMPLETED\ndone" in waited
        assert "(worker): running" in waited
