"""The rows of the bench. Each measures the server and what it is compared with in turns, and takes medians.

The machine is noisy, but both sides of a ratio meet the same noise when they take turns.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from statistics import median

from tests.bench.appending import appending
from tests.bench.delegation import background_children, one_delegation
from tests.bench.echo import ECHO, HOLD
from tests.bench.figures import Figure, Target
from tests.bench.load import RUN_AGENT, TASK_STATUS, Load, Stream, run_request, status_request
from tests.bench.on_postgres import postgres_cpu
from tests.bench.processes import Measured
from tests.bench.replicas import across_replicas, two_replicas
from tests.bench.setting import Setting
from tests.bench.stored_tasks import stored_tasks
from tests.bench.turns import cpu_milliseconds, take_turns

SETTLE_SECONDS = 1.0
LIVE_SECONDS = 3.0

Row = Callable[[Setting], Awaitable[list[Figure]]]


async def compare_runs(
    setting: Setting, what: str, agent: str, *, theirs: str, runs: int, at_once: int, rounds: int, most: float
) -> list[Figure]:
    """Compare the CPU time of runs on the server and in process, where `theirs` says which way to run an agent."""
    async with setting.pair() as (server, load, baseline):
        ours_ms, theirs_ms, ratio = await take_turns(
            rounds,
            cpu_milliseconds(server, lambda: load.runs(agent, runs, at_once), runs),
            cpu_milliseconds(baseline, lambda: baseline.ask(do=theirs, agent=agent, runs=runs, at_once=at_once), runs),
        )
    return [
        Figure(name=f"{what}: server CPU over in process", value=ratio, unit="ratio", target=Target(bound=most)),
        Figure(name=f"{what}: server CPU a run", value=ours_ms, unit="ms"),
        Figure(name=f"{what}: CPU a run in process", value=theirs_ms, unit="ms"),
    ]


async def streamed(setting: Setting) -> list[Figure]:
    """Runs of 100 deltas, as fast as they come, one after the other."""
    runs, rounds = setting.count(40), setting.rounds(7)
    what = "streamed run of 100 deltas"
    return await compare_runs(setting, what, "burst", theirs="stream", runs=runs, at_once=1, rounds=rounds, most=0.6)


async def paced(setting: Setting) -> list[Figure]:
    """Runs of 100 deltas, one every 20 ms, 64 at once."""
    runs, rounds = setting.count(64), setting.rounds(3)
    what = "64 streamed runs at once, a delta every 20 ms"
    return await compare_runs(setting, what, "paced", theirs="stream", runs=runs, at_once=runs, rounds=rounds, most=1.0)


async def plain(setting: Setting) -> list[Figure]:
    """Runs with one short answer, one after the other."""
    runs, rounds = setting.count(100), setting.rounds(7)
    what = "plain run"
    return await compare_runs(setting, what, "plain", theirs="run", runs=runs, at_once=1, rounds=rounds, most=1.7)


async def streamed_at_once(setting: Setting) -> list[Figure]:
    """Runs of 100 deltas, as fast as they come, 16 at once: what they share of the server counts once."""
    runs, rounds = setting.count(48), setting.rounds(5)
    what = "streamed run of 100 deltas, 16 at once"
    return await compare_runs(setting, what, "burst", theirs="stream", runs=runs, at_once=16, rounds=rounds, most=0.6)


async def plain_at_once(setting: Setting) -> list[Figure]:
    """Runs with one short answer, 16 at once: what they share of the server counts once."""
    runs, rounds = setting.count(96), setting.rounds(7)
    what = "plain run, 16 at once"
    return await compare_runs(setting, what, "plain", theirs="run", runs=runs, at_once=16, rounds=rounds, most=1.7)


async def first_delta(setting: Setting) -> list[Figure]:
    """How much later the first delta comes when 16 runs start at once."""
    runs = setting.count(16)
    async with setting.pair() as (_, load, baseline):

        async def ours() -> float:
            return median(stream.first_delta_seconds * 1e3 for stream in await load.runs("brief", runs, runs))

        async def theirs() -> float:
            seconds = await baseline.ask(do="stream", agent="brief", runs=runs, at_once=runs)
            return median(seconds) * 1e3

        ours_ms, theirs_ms, ratio = await take_turns(setting.rounds(21), ours, theirs)
    what = "first delta, 16 runs at once"
    return [
        Figure(name=f"{what}: added time over in process", value=ratio - 1, unit="ratio", target=Target(bound=0.5)),
        Figure(name=f"{what}: time", value=ours_ms, unit="ms"),
        Figure(name=f"{what}: time in process", value=theirs_ms, unit="ms"),
    ]


async def live_streams(setting: Setting) -> list[Figure]:
    """1,000 runs at once that produce a delta every 50 ms each, or as fast as the core can."""
    count, seconds = setting.count(1_000), LIVE_SECONDS / setting.divisor
    rates: list[float] = []
    ratios: list[float] = []
    lost = 0
    for _ in range(setting.rounds(2)):
        async with setting.pair() as (server, load, baseline):
            ours, lost_now = await _live_rate(server, load, count, seconds)
            theirs = await baseline.ask(do="live", agent="live", runs=count, seconds=seconds)
        rates.append(ours)
        ratios.append(ours / theirs)
        lost += lost_now
    what = "1,000 live streams, a delta every 50 ms"
    least = Target(bound=1.0, is_least=True)
    return [
        Figure(name=f"{what}: deltas over those in process", value=median(ratios), unit="ratio", target=least),
        Figure(name=f"{what}: deltas delivered", value=median(rates), unit="1/s"),
        Figure(name=f"{what}: calls lost", value=lost, unit="calls", target=Target(bound=0)),
    ]


async def _live_rate(server: Measured, load: Load, count: int, seconds: float) -> tuple[float, int]:
    calls = [asyncio.create_task(load.run("live")) for _ in range(count)]
    await server.ask(do="wait", runs=count)
    await server.ask(do="begin")
    await asyncio.sleep(SETTLE_SECONDS)
    begin = time.perf_counter()
    await asyncio.sleep(seconds)
    end = time.perf_counter()
    await server.ask(do="end")
    results = await asyncio.gather(*calls, return_exceptions=True)
    streams = [result for result in results if isinstance(result, Stream)]
    deltas = sum(stream.deltas_between(begin, end) for stream in streams)
    return deltas / (end - begin), count - sum(stream.is_whole for stream in streams)


async def task_status(setting: Setting) -> list[Figure]:
    """Looks at one task, against a bare server that returns as many bytes."""
    calls, at_once = setting.count(2_000), setting.count(32)
    async with setting.server() as (_, load), setting.echo() as (_, echo_load):
        (finished,) = await load.runs("plain", 1)
        request = status_request(finished.task_id)
        response = await load.ask(TASK_STATUS, request, 1, 1)

        async def rate(load: Load, method: str, data: bytes) -> float:
            begun_at = time.perf_counter()
            await load.ask(method, data, calls, at_once)
            return calls / (time.perf_counter() - begun_at)

        ours, theirs, ratio = await take_turns(
            setting.rounds(5),
            lambda: rate(load, TASK_STATUS, request),
            lambda: rate(echo_load, ECHO, response),
        )
    least = Target(bound=0.7, is_least=True)
    return [
        Figure(name="TaskStatus: requests over those of a bare gRPC echo", value=ratio, unit="ratio", target=least),
        Figure(name="TaskStatus: requests", value=ours, unit="1/s"),
        Figure(name="bare gRPC echo: requests", value=theirs, unit="1/s"),
    ]


async def memory(setting: Setting) -> list[Figure]:
    """Memory of runs that wait, each with an open stream, against bare runs and bare streams."""
    count = setting.count(1_000)
    async with setting.pair() as (server, load, baseline), setting.echo() as (echo, echo_load):
        await load.runs("plain", setting.count(50), 10)
        await baseline.ask(do="run", agent="plain", runs=setting.count(50), at_once=10)
        await echo_load.ask(ECHO, b"", setting.count(50), 10)
        processes = (server, baseline, echo)
        before = [process.memory_bytes() for process in processes]
        streams = await load.hold(RUN_AGENT, run_request("held"), count)
        streams += await echo_load.hold(HOLD, b"", count)
        await baseline.ask(do="hold", agent="held", runs=count)
        await server.ask(do="wait", runs=count)
        await asyncio.sleep(SETTLE_SECONDS)
        after = [process.memory_bytes() for process in processes]
        ours, run, stream = ((b - a) / count / 1e3 for a, b in zip(before, after, strict=True))
    return [
        Figure(
            name="memory of a suspended run with its stream, over both bare",
            value=ours / (run + stream),
            unit="ratio",
            target=Target(bound=1.4),
        ),
        Figure(name="memory of a suspended run with its stream", value=ours, unit="kB"),
        Figure(name="memory of a bare suspended run", value=run, unit="kB"),
        Figure(name="memory of a bare idle stream", value=stream, unit="kB"),
    ]


ROWS: Mapping[str, Row] = {
    "streamed": streamed,
    "paced": paced,
    "plain": plain,
    "streamed-at-once": streamed_at_once,
    "plain-at-once": plain_at_once,
    "first-delta": first_delta,
    "live-streams": live_streams,
    "task-status": task_status,
    "memory": memory,
    "delegation": one_delegation,
    "background-children": background_children,
    "stored-tasks": stored_tasks,
    "appending": appending,
    "postgres-cpu": postgres_cpu,
    "two-replicas": two_replicas,
    "across-replicas": across_replicas,
}
