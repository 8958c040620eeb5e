"""How a row measures: its sides take turns, so that all meet the same noise, and the medians count."""

from collections.abc import Awaitable, Callable, Sequence
from statistics import median

from tests.bench.processes import Measured

Side = Callable[[], Awaitable[float]]


async def take_rounds(rounds: int, *sides: Side) -> Sequence[tuple[float, ...]]:
    """Return what the sides measured in each round, after a round to warm up."""
    for side in sides:
        await side()
    return [tuple([await side() for side in sides]) for _ in range(rounds)]


async def take_turns(rounds: int, ours: Side, theirs: Side) -> tuple[float, float, float]:
    """Return the medians of both sides and of their ratio."""
    pairs = await take_rounds(rounds, ours, theirs)
    return median(a for a, _ in pairs), median(b for _, b in pairs), median(a / b for a, b in pairs)


def cpu_milliseconds(process: Measured, work: Callable[[], Awaitable[object]], runs: int) -> Side:
    """Return what measures the CPU time of a process for each of the runs that `work` makes."""

    async def measure() -> float:
        before = process.cpu_seconds()
        await work()
        return (process.cpu_seconds() - before) / runs * 1e3

    return measure
