"""Measures the server against bare pydantic-ai and bare gRPC on this machine, and writes build/bench.json.

One core serves, another one makes the load: compare the ratios of one run, not the times of two. `--profile` shows
where the server's CPU time goes.
"""

import argparse
import asyncio
from pathlib import Path

from tests.bench.figures import Figure, show, write_json
from tests.bench.processes import pin_load
from tests.bench.rows import ROWS
from tests.bench.setting import new_setting

OUTPUT = Path("build/bench.json")
QUICK_DIVISOR = 20


async def measure(names: list[str], *, divisor: int, profile: str | None) -> list[Figure]:
    """Measure rows one after the other, and print each as it comes."""
    figures: list[Figure] = []
    for name in names:
        async with new_setting(divisor=divisor, profiles=name == profile) as setting:
            found = await ROWS[name](setting)
        print(*map(show, found), sep="\n", flush=True)
        figures += found
    return figures


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument("--only", metavar="ROWS", help=f"rows to measure, with commas: {','.join(ROWS)}")
    parser.add_argument("--profile", metavar="ROW", choices=ROWS, help="measure this row, and show where the CPU goes")
    parser.add_argument("--quick", action="store_true", help="do little: the figures mean nothing")
    parser.add_argument("--output", type=Path, default=OUTPUT, help="where to write the figures (default: %(default)s)")
    options = parser.parse_args()
    names: list[str] = [options.profile] if options.profile else options.only.split(",") if options.only else list(ROWS)
    if unknown := [name for name in names if name not in ROWS]:
        parser.error(f"there is no row {unknown[0]!r}")
    pin_load()
    divisor = QUICK_DIVISOR if options.quick else 1
    write_json(asyncio.run(measure(names, divisor=divisor, profile=options.profile)), options.output)


if __name__ == "__main__":
    main()
