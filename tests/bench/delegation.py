"""The rows about runs that have others work for them."""

from collections.abc import Awaitable, Callable
from statistics import median

from tests.bench.delegating import CALLING, DELEGATING, MANY
from tests.bench.figures import Figure, Target
from tests.bench.load import Load
from tests.bench.processes import Measured
from tests.bench.setting import Setting
from tests.bench.turns import Side, cpu_milliseconds, take_rounds, take_turns

UNCAPPED = 1_000


async def one_delegation(setting: Setting) -> list[Figure]:
    """Runs that give one task to a subagent and wait for it, one after the other and 16 at once."""
    rounds = setting.rounds(7)
    async with setting.pair() as (server, load, baseline):

        async def compare(runs: int, at_once: int) -> tuple[float, float, float]:
            return await take_turns(
                rounds,
                cpu_milliseconds(server, lambda: load.whole_runs(DELEGATING, runs, at_once), runs),
                cpu_milliseconds(baseline, lambda: _two_bare_runs(baseline, runs, at_once), runs),
            )

        ours_ms, theirs_ms, ratio = await compare(setting.count(40), 1)
        _, _, ratio_at_once = await compare(setting.count(48), 16)
    what = "one delegation"
    return [
        Figure(
            name=f"{what}: server CPU over the two bare runs it needs",
            value=ratio,
            unit="ratio",
            target=Target(bound=1.5),
        ),
        Figure(name=f"{what}: server CPU", value=ours_ms, unit="ms"),
        Figure(name=f"{what}: CPU of the two bare runs", value=theirs_ms, unit="ms"),
        Figure(name=f"{what}, 16 at once: server CPU over the bare runs", value=ratio_at_once, unit="ratio"),
    ]


async def _two_bare_runs(baseline: Measured, runs: int, at_once: int) -> None:
    await baseline.ask(do="run", agent=CALLING, runs=runs, at_once=at_once)
    await baseline.ask(do="run", agent="plain", runs=runs, at_once=at_once)


async def background_children(setting: Setting) -> list[Figure]:
    """Runs that give 20 or 200 tasks to the background at once, and wait for all of them."""
    few, count, parents = setting.count(20), setting.count(200), setting.count(5)
    async with (
        setting.pair() as (server, load, baseline),
        setting.server(max_running_tasks_per_tree=UNCAPPED) as (wide_server, wide_load),
    ):
        rounds = await take_rounds(
            setting.rounds(7),
            cpu_milliseconds(server, _parents(load, few, parents), few * parents),
            cpu_milliseconds(server, _parents(load, count, 1), count),
            cpu_milliseconds(wide_server, _parents(wide_load, count, 1), count),
            _bare(baseline, count),
        )
    what = "200 background children of one parent"
    return [
        Figure(
            name=f"{what}: CPU per child over a bare run",
            value=median(ours / bare for _, ours, _, bare in rounds),
            unit="ratio",
            target=Target(bound=1.8),
        ),
        Figure(
            name=f"{what}: growth of the CPU per child from 20",
            value=median(ours / of_few for of_few, ours, _, _ in rounds),
            unit="ratio",
            target=Target(bound=1.2),
        ),
        Figure(
            name="200 background children, none queued: CPU per child over a bare run",
            value=median(wide / bare for _, _, wide, bare in rounds),
            unit="ratio",
        ),
        Figure(name=f"{what}: CPU per child", value=median(ours for _, ours, _, _ in rounds), unit="ms"),
        Figure(name="20 background children: CPU per child", value=median(of_few for of_few, *_ in rounds), unit="ms"),
        Figure(name=f"{what}: CPU of a bare run", value=median(bare for *_, bare in rounds), unit="ms"),
    ]


def _parents(load: Load, children: int, runs: int) -> Callable[[], Awaitable[object]]:
    return lambda: load.whole_runs(MANY, runs, message=str(children))


def _bare(baseline: Measured, runs: int) -> Side:
    return cpu_milliseconds(baseline, lambda: baseline.ask(do="run", agent="plain", runs=runs, at_once=runs), runs)
