"""Bad requests to HookService: each is refused by name, with what to change."""

from collections.abc import AsyncGenerator
from typing import Any

import grpc
import pytest
from pydantic_ai import Agent
from tests.support.gated_model import saying
from tests.support.hook_runs import settled
from tests.support.wire import Wire, wire_to

from musterd import Musterd, hook
from musterd.testing import serve

LONG_ID = "x" * 129
INVALID = grpc.StatusCode.INVALID_ARGUMENT

BAD_FIELDS: dict[str, tuple[str, dict[str, Any], str]] = {
    "ListHookRuns with a negative page": ("ListHookRuns", {"page_size": -1}, "page_size"),
    "ListHookRuns with a page that is too large": ("ListHookRuns", {"page_size": 1_001}, "page_size"),
    "ListHookRuns of a task id that is too long": ("ListHookRuns", {"task_id": LONG_ID}, "task_id"),
    "ListHookRuns in an unknown state": ("ListHookRuns", {"states": [1, 99]}, "states[1]"),
    "RetryHookRun without an id": ("RetryHookRun", {}, "hook_run_id"),
    "RetryHookRun of an id that is too long": ("RetryHookRun", {"hook_run_id": LONG_ID}, "hook_run_id"),
    "RetryHookRun by a request id that is too long": (
        "RetryHookRun",
        {"hook_run_id": "one", "request_id": LONG_ID},
        "request_id",
    ),
}


@hook(run_in_background=True)
def audit() -> None:
    """Do well."""


@pytest.fixture
async def wire() -> AsyncGenerator[Wire]:
    app = Musterd(agents=[Agent(saying("hello"), name="greeter")], post_hooks=[audit])
    async with serve(app) as client, wire_to(client.target) as wire:
        for _ in range(2):
            await client.run_agent("greeter", "hi").result()
        await settled(client, count=2)
        yield wire


@pytest.mark.parametrize("case", BAD_FIELDS)
async def test_a_bad_field_is_refused_by_its_path(wire: Wire, case: str) -> None:
    """H4 (refusal)."""
    name, fields, path = BAD_FIELDS[case]
    refusal = await wire.refusal(name, **fields)
    assert (refusal.code, refusal.reason, refusal.paths) == (INVALID, "INVALID_ARGUMENT", [path])
    assert refusal.text.startswith(f"{path}: ")


async def test_a_page_token_is_good_for_the_same_filters_alone(wire: Wire) -> None:
    """H4, C8 (refusal)."""
    token = (await wire.call("ListHookRuns", page_size=1)).next_page_token
    assert len((await wire.call("ListHookRuns", page_size=1, page_token=token)).hook_runs) == 1
    others: tuple[dict[str, Any], ...] = ({"states": [4]}, {"task_id": "one"})
    for fields in others:
        refusal = await wire.refusal("ListHookRuns", page_token=token, **fields)
        assert (refusal.code, refusal.reason) == (INVALID, "PAGE_TOKEN_INVALID")


async def test_states_that_are_not_set_are_no_filter(wire: Wire) -> None:
    """H4."""
    assert len((await wire.call("ListHookRuns", states=[0])).hook_runs) == 2
    assert len((await wire.call("ListHookRuns", states=[3, 4])).hook_runs) == 2
