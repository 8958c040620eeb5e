"""What hooks are given of what went in and out, in front of a run and in the background."""

from threading import Lock
from typing import Any

import pytest
from pydantic import BaseModel, PrivateAttr
from pydantic_ai import Agent
from pydantic_ai.messages import ToolReturnPart
from tests.support.gated_model import prompts_in, saying
from tests.support.hook_runs import settled
from tests.support.scripted import call_then_say

from musterd import Musterd, Prototype, RunInput, RunOutput, Step, StepInput, Workflow, hook
from musterd.testing import serve
from musterd_client import TextPart


async def test_the_parts_of_the_input_are_seen_and_stay() -> None:
    """H1: a guardrail would else not see all that the model reads."""
    seen: list[str | None] = []

    def look(run_input: RunInput) -> None:
        seen.extend(part.text for part in run_input.parts)
        run_input.content = "changed"
        run_input.parts = ()

    @hook(run_in_background=True)
    def audit(run_input: RunInput) -> None:
        seen.extend((run_input.content, *(part.text for part in run_input.parts)))

    def read(run_output: RunOutput) -> None:
        seen.extend(prompts_in(run_output.messages))

    agent = Prototype(Agent(saying("done"), name="agent"), pre_hooks=[look, look, audit], post_hooks=[read])
    async with serve(Musterd(agents=[agent])) as client:
        await client.run_agent("agent", "hello", parts=[TextPart(text="a part")]).result()
        await settled(client)
    assert seen == ["a part", "a part", "['changed', 'a part']", "changed", "a part"]


async def test_a_number_that_becomes_a_truth_value_is_a_change() -> None:
    """H1: though Python takes the two for the same."""
    seen: list[Any] = []

    def read(step_input: StepInput) -> str:
        seen.append(repr(step_input.input))
        return "read"

    def change(run_input: RunInput) -> None:
        run_input.input = {"urgent": True}

    flow = Workflow("flow", [Step("read", read)], pre_hooks=[change])
    async with serve(Musterd(workflows=[flow])) as client:
        await client.run_workflow("flow", "go", factory_input={"urgent": 1}).result()
    assert seen == ["{'urgent': True}"]


class Report(BaseModel):
    """What a tool returns: the model does not read how it is guarded."""

    pages: int
    _lock: Lock = PrivateAttr(default_factory=Lock)


@pytest.mark.parametrize("in_background", [False, True])
async def test_a_hook_gets_what_a_tool_returned_as_the_model_has_read_it(in_background: bool) -> None:
    """H1, H4: an object that cannot be copied does not fail the run."""
    seen: list[Any] = []

    async def report() -> Report:
        return Report(pages=3)

    @hook(run_in_background=in_background)
    def audit(run_output: RunOutput) -> None:
        parts = [part for message in run_output.messages for part in message.parts]
        seen.extend(part.content for part in parts if isinstance(part, ToolReturnPart))

    reporter = Agent(call_then_say("report", "done"), name="agent", tools=[report])
    async with serve(Musterd(agents=[Prototype(reporter, post_hooks=[audit])])) as client:
        await client.run_agent("agent", "hello").result()
        if in_background:
            await settled(client)
    assert seen == [{"pages": 3}]
