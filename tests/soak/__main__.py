"""Has three replicas on one PostgreSQL make runs in great numbers, while one of them is killed again and again.

Prints what was lost or wrong, of which there must be nothing, and ends with status 1 if there was.
"""

import argparse
import asyncio
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

from tests.soak.outcome import SHOWN_MAX, Outcome
from tests.soak.replicas import open_mill
from tests.soak.soaking import Callers, NextKill, soak
from tests.support.postgres import running_postgres

RUNS = 20_000
AT_ONCE = 48
KILL_SECONDS = 20.0

# As those who run a server have it: what is committed is on the disk.
POSTGRES = {"max_connections": "200", "shared_buffers": "256MB"}


def every(seconds: float) -> NextKill:
    """Return what waits for the next of moments that are so far apart."""
    begun_at = time.monotonic()

    async def next_kill(_callers: Callers) -> None:
        await asyncio.sleep(seconds - (time.monotonic() - begun_at) % seconds)

    return next_kill


async def run(dsn: str, folder: Path, *, runs: int, at_once: int, kill_seconds: float) -> Outcome:
    """Soak on new replicas."""
    async with open_mill(folder, dsn) as mill:
        return await soak(mill, runs=runs, at_once=at_once, next_kill=every(kill_seconds))


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(prog="python -m tests.soak", description=__doc__)
    parser.add_argument("--runs", type=int, default=RUNS, help="how many (default: %(default)s)")
    parser.add_argument("--at-once", type=int, default=AT_ONCE, help="how many at any time (default: %(default)s)")
    parser.add_argument(
        "--kill-every", type=float, default=KILL_SECONDS, metavar="SECONDS", help="default: %(default)g s"
    )
    options = parser.parse_args()
    with ExitStack() as stack:
        dsn = stack.enter_context(running_postgres(POSTGRES))
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="musterd-soak-")))
        outcome = asyncio.run(
            run(dsn, folder, runs=options.runs, at_once=options.at_once, kill_seconds=options.kill_every)
        )
    print(*outcome.figures, sep="\n")
    for line in outcome.wrong[:SHOWN_MAX]:
        print(f"WRONG: {line}")
    if outcome.wrong:
        sys.exit(f"{len(outcome.wrong)} things were wrong")


if __name__ == "__main__":
    main()
