"""Starts a run, drops its stream, and watches the rest: the run does not notice, and no event is lost or seen twice.

Serve an agent first (`musterd serve examples.quickstart:app`), then: `python examples/client_watch.py`.
"""

import asyncio
import os
import sys

from musterd_client import MusterdClient

EVENTS_BEFORE_THE_DROP = 4


async def run_and_watch(target: str, agent_id: str, message: str) -> list[int]:
    """Return the sequences of all events of a run, read over two streams."""
    sequences: list[int] = []
    async with MusterdClient(target, token=os.environ.get("MUSTERD_TOKEN")) as client:
        async with client.run_agent(agent_id, message) as run:
            async for event in run:
                sequences.append(event.sequence)
                print(f"run    {event.sequence:>3} {event.kind}")
                if event.sequence == EVENTS_BEFORE_THE_DROP:
                    break
        # The stream is closed here, and the task goes on.
        async with client.tasks.watch(run.task.task_id, after_sequence=run.last_sequence) as watch:
            async for event in watch:
                sequences.append(event.sequence)
                print(f"watch  {event.sequence:>3} {event.kind}")
        print(f"{watch.task.state}: {(await watch.result()).text}")
    return sequences


if __name__ == "__main__":
    asyncio.run(run_and_watch(sys.argv[1] if len(sys.argv) > 1 else "127.0.0.1:50051", "support", "Where is my order?"))
