"""Code that wants to end the process ends its own run alone."""

import asyncio
import sys
from collections.abc import Callable
from typing import Any

import pytest
from pydantic_ai import Agent
from tests.support.gated_model import Gate, stopping
from tests.support.scripted import call_then_say

from musterd import AgentFactory, Musterd, RequestContext
from musterd.testing import serve
from musterd_client import ServerFailedError, TaskFailedError


async def leave_on_the_loop() -> str:
    sys.exit(3)


def leave_in_a_thread() -> str:
    sys.exit("bye")


class NoException(BaseException):
    """What is raised here is not caught by what catches exceptions."""


async def break_on_the_loop() -> str:
    raise NoException


def break_in_a_thread() -> str:
    raise NoException


WAYS_OUT = [leave_on_the_loop, leave_in_a_thread, break_on_the_loop, break_in_a_thread]


@pytest.mark.parametrize("tool", WAYS_OUT)
async def test_a_tool_that_exits_fails_its_run(tool: Callable[[], Any]) -> None:
    """R1, C7: while another run goes on."""
    gate = Gate()
    agents = [
        Agent(call_then_say(tool.__name__, "never"), name="leaver", tools=[tool]),
        Agent(stopping(gate), name="stayer"),
    ]
    async with serve(Musterd(agents=agents)) as client:
        staying = asyncio.create_task(client.run_agent("stayer", "go").result())
        await gate.reached.wait()
        with pytest.raises(TaskFailedError, match="TOOL_FAILED"):
            await client.run_agent("leaver", "go").result()
        gate.open()
        assert (await staying).output.text == "done"


@pytest.mark.parametrize("leave", WAYS_OUT)
async def test_a_factory_that_exits_refuses_its_run(leave: Callable[[], Any]) -> None:
    """C7."""

    def build(context: RequestContext) -> Any:
        return leave()

    async with serve(Musterd(agents=[AgentFactory("leaver", build)])) as client:
        for _ in range(2):
            with pytest.raises(ServerFailedError, match="FACTORY_FAILED"):
                await client.run_agent("leaver", "go").result()
