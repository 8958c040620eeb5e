"""Two servers on one PostgreSQL: what the second one adds, and how long one takes to hear of the other."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from statistics import median

from tests.bench.database import DURABLE, database_cpu_seconds, new_postgres, new_store
from tests.bench.figures import Figure
from tests.bench.load import (
    CANCEL_TASK,
    TASK_STATUS,
    WAIT_TASKS,
    Load,
    cancel_request,
    status_request,
    task_in,
    wait_request,
)
from tests.bench.processes import CORES, Measured
from tests.bench.setting import Setting
from tests.bench.turns import take_rounds

AT_ONCE = 32
NAMES = {1: "one replica", 2: "two replicas"}


async def two_replicas(setting: Setting) -> list[Figure]:
    """Plain runs on one replica and on two, each on a core of its own, and how much of the machine all of it takes.

    With two cores the second replica shares its own with the database and the load.
    """
    runs = setting.count(400)
    async with new_postgres(DURABLE) as postgres:
        store = await new_store(postgres)
        async with (
            setting.server(store=store) as (first, first_load),
            setting.server(store=store, core=1 % len(CORES)) as (second, second_load),
        ):

            def cpu() -> tuple[float, float, float]:
                replicas = first.cpu_seconds() + second.cpu_seconds()
                return replicas, database_cpu_seconds(postgres), time.process_time()

            shares: dict[int, list[tuple[float, ...]]] = {1: [], 2: []}

            async def rate(*loads: Load) -> float:
                before, begun_at = cpu(), time.perf_counter()
                count, left = len(loads), iter(range(runs))

                async def work(load: Load) -> None:
                    # The quicker replica gets more: none of them is waited for.
                    for _ in left:
                        await load.whole_runs("plain", 1)

                await asyncio.gather(*(work(load) for load in loads for _ in range(AT_ONCE // count)))
                seconds = time.perf_counter() - begun_at
                shares[count].append(tuple((b - a) / seconds for a, b in zip(before, cpu(), strict=True)))
                return runs / seconds

            rounds = await take_rounds(
                setting.rounds(7), lambda: rate(first_load), lambda: rate(first_load, second_load)
            )
    what = "plain runs, 32 at once"
    figures = [
        Figure(name=f"{what}: two replicas over one", value=median(b / a for a, b in rounds), unit="ratio"),
        Figure(name=f"{what}: one replica", value=median(a for a, _ in rounds), unit="1/s"),
        Figure(name=f"{what}: two replicas", value=median(b for _, b in rounds), unit="1/s"),
        Figure(name="cores of this machine", value=len(CORES), unit="cores"),
    ]
    for count, used in shares.items():
        for part, name in enumerate(("all replicas", "PostgreSQL", "the load")):
            value = median(share[part] for share in used)
            figures.append(Figure(name=f"{what}, {NAMES[count]}: CPU of {name}", value=value, unit="cores"))
    return figures


async def across_replicas(setting: Setting) -> list[Figure]:
    """How long it takes until a replica has done what another one was asked for, or knows what happened there."""
    times = setting.count(40)
    async with new_postgres(DURABLE) as postgres:
        store = await new_store(postgres)
        async with (
            setting.server(store=store) as (server, here),
            setting.server(store=store) as (_, there),
            setting.server(store=store, max_running_tasks=1) as (full_server, full),
        ):
            await full.begin("held")
            await full_server.ask(do="wait", runs=1)
            found = {
                "cancel at another replica: until the run has ended": lambda: _cancel(server, here, there),
                "wait at another replica: after the run's end": lambda: _wake(here, there),
                "cancel at the same replica: until the run has ended": lambda: _cancel(server, here, here),
                "wait at the same replica: after the run's end": lambda: _wake(here, here),
                "short run in the background, waited for at another replica": lambda: _short(here, there),
                "short run in the background, waited for at the same replica": lambda: _short(here, here),
                "from the queue of a full replica: until it starts elsewhere": lambda: _queue(full),
            }
            return [
                Figure(name=name, value=await _median_ms(measure, times), unit="ms") for name, measure in found.items()
            ]


async def _median_ms(measure: Callable[[], Awaitable[float]], times: int) -> float:
    await measure()
    return median([await measure() for _ in range(times)]) * 1e3


async def _cancel(server: Measured, here: Load, there: Load) -> float:
    task_id, rest = await here.begin("held")
    await server.ask(do="wait", runs=1)
    begun_at = time.perf_counter()
    canceling = asyncio.create_task(there.ask(CANCEL_TASK, cancel_request(task_id), 1, 1))
    async for _ in rest:
        pass
    seconds = time.perf_counter() - begun_at
    await canceling
    return seconds


async def _wake(here: Load, there: Load) -> float:
    task_id, rest = await here.begin("brief")
    waiting = asyncio.create_task(there.ask(WAIT_TASKS, wait_request(task_id), 1, 1))
    async for _ in rest:
        pass
    ended_at = time.perf_counter()
    await waiting
    return time.perf_counter() - ended_at


async def _short(here: Load, there: Load) -> float:
    begun_at = time.perf_counter()
    task_id, _ = await here.begin("plain", background=True)
    await there.ask(WAIT_TASKS, wait_request(task_id), 1, 1)
    return time.perf_counter() - begun_at


async def _queue(full: Load) -> float:
    """Return how long a task waited, in the database's own time."""
    task_id, _ = await full.begin("plain", background=True)
    await full.ask(WAIT_TASKS, wait_request(task_id), 1, 1)
    task = task_in(await full.ask(TASK_STATUS, status_request(task_id), 1, 1))
    return task.start_time.ToMicroseconds() / 1e6 - task.create_time.ToMicroseconds() / 1e6
