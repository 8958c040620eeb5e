"""How subagents ask and are answered, steered and canceled."""

import re

from pydantic_ai import Agent
from pydantic_ai.messages import ModelMessage, ModelResponse, TextPart, ToolCallPart
from pydantic_ai.models.function import AgentInfo, FunctionModel
from pydantic_ai.toolsets import FunctionToolset
from tests.blackbox.subagent_scripts import RunParent, child, gated, on_last, over, parent, task, wait_all
from tests.support.gated_model import Gate
from tests.support.turns import Call, Said, all_returned, prompts, report, returned, taking


class TalkingBehaviour:
    """Tasks ask, are answered, get messages, and are canceled."""

    async def test_a_question_ends_the_wait_and_its_answer_reaches_the_child(self, run_parent: RunParent) -> None:
        """S6, S7."""
        worker = taking(("ask_parent", {"question": "which?"}), lambda messages: f"took {returned(messages)[0]}")
        agent = parent(
            over(child(worker)),
            task("async"),
            wait_all(),
            on_last("check_task"),
            on_last("answer_subagent", answer="the left one"),
            wait_all(),
            report,
        )
        started, asked, checked, answered, done = (await run_parent(agent, "go")).split("\n---\n")
        task_id = started.splitlines()[1].removeprefix("Task ID: ")
        assert asked.endswith(f"- {task_id} (worker): waiting_for_answer\nQuestion: which?")
        assert "Status: waiting_for_answer" in checked
        assert checked.endswith("Question: which?")
        assert answered == f"Answer sent to task '{task_id}'"
        assert done.endswith("took the left one")

    async def test_two_questions_in_one_response_both_get_their_answers(self, run_parent: RunParent) -> None:
        """S7: both are open at once, and the second may be answered first."""
        worker = taking(
            [("ask_parent", {"question": "size?"}), ("ask_parent", {"question": "color?"})],
            lambda messages: " and ".join(returned(messages)),
        )

        def converse(messages: list[ModelMessage]) -> Said:
            last, sent = returned(messages)[-1], report(messages).count("Answer sent")
            ids = {text: question_id for question_id, text in re.findall(r"Question (\S+): (\S+)", last)}
            if "COMPLETED" in last:
                return last
            if "color?" in ids:
                return on_last("answer_subagent", answer="red", question_id=ids["color?"])(messages)
            if sent == 2:
                return wait_all()(messages)
            return on_last("answer_subagent", answer="big")(messages) if sent else on_last("check_task")(messages)

        agent = parent(over(child(worker)), task("async"), converse)
        assert (await run_parent(agent, "go")).endswith("COMPLETED\nbig and red")

    async def test_of_a_question_a_run_is_told_once(self, run_parent: RunParent) -> None:
        """S6: the second wait goes on, for somebody else may be who answers."""
        gate = Gate()
        asking = taking(("ask_parent", {"question": "which?"}), "never")
        ids: list[str] = []

        def wait_for_the_first(messages: list[ModelMessage]) -> Call:
            ids[:] = [text.splitlines()[1].removeprefix("Task ID: ") for text in returned(messages)]
            return "wait_tasks", {"task_ids": ids[:1]}

        def wait_for_any(_: list[ModelMessage]) -> Call:
            gate.open()
            return "wait_tasks", {"task_ids": ids, "mode": "any"}

        agent = parent(
            over(child(asking), {**child(gated(gate, "done")), "name": "other"}),
            [task("async"), task("async", name="other")],
            wait_for_the_first,
            wait_for_any,
            lambda messages: returned(messages)[0],
        )
        assert "1/2 finished, 1 still running" in await run_parent(agent, "go")

    async def test_an_answer_to_a_question_that_is_not_open_is_refused(self, run_parent: RunParent) -> None:
        """S7 (refusal)."""
        worker = taking(("ask_parent", {"question": "which?"}), lambda messages: returned(messages)[0])
        agent = parent(
            over(child(worker)),
            task("async"),
            wait_all(),
            on_last("answer_subagent", answer="x", question_id="no-such-question"),
            on_last("answer_subagent", answer="left"),
            wait_all(),
            on_last("answer_subagent", answer="too late"),
            report,
        )
        started, _, unknown, _, done, late = (await run_parent(agent, "go")).split("\n---\n")
        task_id = started.splitlines()[1].removeprefix("Task ID: ")
        assert unknown == f"Error: Task '{task_id}' has no open question 'no-such-question'"
        assert done.endswith("COMPLETED\nleft")
        assert late == f"Error: Task '{task_id}' is not waiting for an answer (status: completed)"

    async def test_no_more_questions_than_the_budget(self, run_parent: RunParent) -> None:
        """S7: the budget's number itself is allowed."""

        async def answer(question: str) -> str:
            return f"answer to {question}"

        worker = taking(
            [("ask_parent", {"question": "a"}), ("ask_parent", {"question": "b"})],
            ("ask_parent", {"question": "c"}),
            report,
        )
        config = child(worker, max_questions=2)
        first, second, third = (await run_parent(parent(over(config, ask_user=answer), task(), report), "go")).split(
            "\n---\n"
        )
        assert (first, second) == ("answer to a", "answer to b")
        assert third.startswith("Error: question limit reached (2 for this task).")

    async def test_a_model_that_repeats_its_call_ids_has_no_more_questions(self, run_parent: RunParent) -> None:
        """S7 (refusal): some give the calls of each response the same ids again."""

        async def answer(question: str) -> str:
            return f"answer to {question}"

        async def ask(messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
            asked = len(all_returned(messages))
            call = ToolCallPart("ask_parent", {"question": "ab"[asked]}, tool_call_id="call-0") if asked < 2 else None
            return ModelResponse(parts=[call or TextPart(report(messages))])

        config = child(FunctionModel(ask), max_questions=1)
        first, second = (await run_parent(parent(over(config, ask_user=answer), task(), report), "go")).split("\n---\n")
        assert first == "answer to a"
        assert second.startswith("Error: question limit reached (1 for this task).")

    async def test_a_subagent_that_may_not_ask_has_no_tool_for_it(self, run_parent: RunParent) -> None:
        """S2, S7."""
        worker = Agent(taking(lambda messages: prompts(messages)[0]), name="worker")
        config = child(None, agent=worker, can_ask_questions=False)
        said = await run_parent(parent(over(config), task(), report), "go")
        assert "ask_parent" not in said

    async def test_a_message_without_a_text_is_refused(self, run_parent: RunParent) -> None:
        """S8 (refusal): providers take no empty prompt, and the task would fail with it."""
        gate = Gate()
        agent = parent(
            over(child(gated(gate))),
            task("async"),
            on_last("send_message_to_subagent", message=" \n"),
            on_last("hard_cancel_task"),
            report,
        )
        _, sent, _ = (await run_parent(agent, "go")).split("\n---\n")
        assert sent == "Error: The message is empty."

    async def test_a_message_reaches_the_next_request_with_retries_off(self, run_parent: RunParent) -> None:
        """S8: steering does not hang on retries."""
        gate = Gate()
        tools = FunctionToolset()

        @tools.tool_plain
        async def look() -> str:
            await gate.wait()
            return "looked"

        worker = taking(("look", {}), lambda messages: " | ".join(prompts(messages)[1:]))

        async def steer(messages: list[ModelMessage]) -> Call:
            await gate.reached.wait()
            return on_last("send_message_to_subagent", message="look left")(messages)

        def let_go(messages: list[ModelMessage]) -> Call:
            gate.open()
            return wait_all()(messages)

        config = child(worker, max_retries=0, agent_arguments={"toolsets": [tools]})
        started, sent, done = (
            await run_parent(parent(over(config), task("async"), steer, let_go, report), "go")
        ).split("\n---\n")
        task_id = started.splitlines()[1].removeprefix("Task ID: ")
        assert sent == f"Message delivered to task '{task_id}'; it will be applied on the subagent's next step."
        assert done.endswith("COMPLETED\nlook left")

    async def test_a_message_that_comes_with_the_last_answer_gets_another_turn(self, run_parent: RunParent) -> None:
        """S8: no message that was taken is lost."""
        gate = Gate()

        async def steer(messages: list[ModelMessage]) -> Call:
            await gate.reached.wait()
            return on_last("send_message_to_subagent", message="and then?")(messages)

        def let_go(messages: list[ModelMessage]) -> Call:
            gate.open()
            return wait_all()(messages)

        worker = gated(gate, "first", lambda messages: f"again: {prompts(messages)[-1]}")
        said = await run_parent(parent(over(child(worker)), task("async"), steer, let_go, report), "go")
        assert said.endswith("COMPLETED\nagain: and then?")

    async def test_what_has_ended_takes_no_message_and_cannot_be_canceled(self, run_parent: RunParent) -> None:
        """S8, S9 (refusal): the answer gives the status."""
        agent = parent(
            over(child(taking("done"))),
            task("async"),
            wait_all(),
            on_last("send_message_to_subagent", message="x"),
            on_last("soft_cancel_task"),
            on_last("hard_cancel_task"),
            report,
        )
        started, _, sent, soft, hard = (await run_parent(agent, "go")).split("\n---\n")
        task_id = started.splitlines()[1].removeprefix("Task ID: ")
        assert sent == f"Error: Task '{task_id}' is not accepting messages (status: completed)."
        assert soft.startswith(f"Task '{task_id}' is no longer running (status: completed); nothing to cancel.")
        assert hard == soft

    async def test_a_hard_cancellation_ends_the_task_at_once(self, run_parent: RunParent) -> None:
        """S9."""
        gate = Gate()

        async def cancel(messages: list[ModelMessage]) -> Call:
            await gate.reached.wait()
            return on_last("hard_cancel_task")(messages)

        agent = parent(over(child(gated(gate))), task("async"), cancel, wait_all(), on_last("check_task"), report)
        started, cancelled, waited, checked = (await run_parent(agent, "go")).split("\n---\n")
        task_id = started.splitlines()[1].removeprefix("Task ID: ")
        assert cancelled == f"Task '{task_id}' has been cancelled"
        assert f"- {task_id} (worker): CANCELLED - " in waited
        assert "Status: cancelled\n" in checked

    async def test_a_soft_cancellation_ends_the_task_between_its_steps(self, run_parent: RunParent) -> None:
        """S9: the step in hand is finished, no further one begins."""
        gate, finished, requests = Gate(), Gate(), list[int]()
        tools = FunctionToolset()

        @tools.tool_plain
        async def look() -> str:
            await gate.wait()
            finished.reached.set()
            return "looked"

        def count(messages: list[ModelMessage]) -> Said:
            requests.append(len(messages))
            return "look", {}

        async def cancel(messages: list[ModelMessage]) -> Call:
            await gate.reached.wait()
            return on_last("soft_cancel_task")(messages)

        def let_go(messages: list[ModelMessage]) -> Call:
            gate.open()
            return wait_all()(messages)

        config = child(taking(count), max_retries=0, agent_arguments={"toolsets": [tools]})
        agent = parent(over(config), task("async"), cancel, let_go, report)
        started, requested, waited = (await run_parent(agent, "go")).split("\n---\n")
        task_id = started.splitlines()[1].removeprefix("Task ID: ")
        assert requested == f"Cancellation requested for task '{task_id}'"
        assert f"- {task_id} (worker): CANCELLED - " in waited
        assert finished.reached.is_set()
        assert len(requests) == 1
