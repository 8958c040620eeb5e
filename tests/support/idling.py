"""Waits until a runtime has nothing to do."""

import asyncio

from tests.support.runtime_kernel import Kernel


async def idle(kernel: Kernel) -> None:
    """Return once no task runs there."""
    while kernel.supervisor.running_count:  # noqa: ASYNC110 - nothing tells of it: a slot is free a moment after the end
        await asyncio.sleep(0)
