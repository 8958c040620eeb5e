"""What a run costs a server whose store is PostgreSQL, against one whose store is a SQLite file in its own process."""

from tests.bench.database import DURABLE, database_cpu_seconds, new_postgres, new_store
from tests.bench.figures import Figure, Target
from tests.bench.setting import Setting
from tests.bench.turns import cpu_milliseconds, take_turns

MOST = 1.5


async def postgres_cpu(setting: Setting) -> list[Figure]:
    """Plain and streamed runs, one after the other and 16 at once."""
    cases = (
        ("plain run", "plain", setting.count(100), 1),
        ("plain run, 16 at once", "plain", setting.count(96), 16),
        ("streamed run of 100 deltas", "burst", setting.count(40), 1),
        ("streamed run of 100 deltas, 16 at once", "burst", setting.count(48), 16),
    )
    figures: list[Figure] = []
    async with (
        new_postgres(DURABLE) as postgres,
        setting.server(store=await new_store(postgres)) as (server, load),
        setting.server() as (sqlite, sqlite_load),
    ):
        for what, agent, runs, at_once in cases:
            before = database_cpu_seconds(postgres)
            rounds = setting.rounds(7)
            ours_ms, theirs_ms, ratio = await take_turns(
                rounds,
                cpu_milliseconds(server, lambda: load.whole_runs(agent, runs, at_once), runs),  # noqa: B023 - used here
                cpu_milliseconds(sqlite, lambda: sqlite_load.whole_runs(agent, runs, at_once), runs),  # noqa: B023
            )
            database_ms = (database_cpu_seconds(postgres) - before) / (runs * (rounds + 1)) * 1e3
            figures += [
                Figure(
                    name=f"{what}: server CPU on PostgreSQL over SQLite",
                    value=ratio,
                    unit="ratio",
                    target=Target(bound=MOST),
                ),
                Figure(name=f"{what}: server CPU on PostgreSQL", value=ours_ms, unit="ms"),
                Figure(name=f"{what}: server CPU on SQLite", value=theirs_ms, unit="ms"),
                Figure(name=f"{what}: CPU of PostgreSQL itself", value=database_ms, unit="ms"),
            ]
    return figures
