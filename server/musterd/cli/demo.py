"""`musterd demo`: shows the whole way of a run. What it needs is imported when it runs."""

import asyncio


def demo() -> None:
    """See it work: a server on SQLite, an agent, a team, and a client, over real gRPC, without any key."""
    from musterd.cli.demonstration import run_demo
    from musterd.cli.logs import configure_logging

    configure_logging("warning", "text")
    asyncio.run(run_demo())
