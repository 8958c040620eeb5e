"""`musterd serve --workers 2`: two processes share a port and a PostgreSQL, and a third one looks after them."""

import asyncio
import os
import signal
import socket
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import asyncpg
from tests.e2e.reading import is_dense, log_of, restarts_in
from tests.e2e.shop import PATIENT, Shop, open_shop
from tests.support.followers import Follower
from tests.support.processes import Finished, Process, finish

from musterd.cli.workers import restart_delay_seconds
from musterd.settings import StoreSettings, migrate_store
from musterd.store.postgres.connection import Database, quote
from musterd.testing.model import ChatRequest, Turn, gate, text
from musterd.transport.server import check_free
from musterd_client import HealthStatus, MusterdClient, RestartCause, TaskCompleted, TextDelta

OWN_CONNECTION = {"grpc.use_local_subchannel_pool": 1, "grpc.max_reconnect_backoff_ms": 200}


@dataclass(frozen=True)
class Rota:
    """A shop whose server has two workers."""

    shop: Shop
    tcp: str
    variables: dict[str, str]

    @asynccontextmanager
    async def serving(self) -> AsyncGenerator[tuple[Process, dict[int, int]]]:
        """Give the process that looks after the workers, once all serve, and their process ids."""
        command = ("serve", "rota:app", "--workers", "2", "--listen", self.tcp)
        async with Process("musterd", *command, folder=self.shop.folder, variables=self.variables) as process:
            yield process, await workers_of(process)

    def client(self) -> MusterdClient:
        """Return a client that has a connection of its own to one of the workers."""
        return MusterdClient(self.tcp, token=self.shop.token(), retry=PATIENT, channel_options=OWN_CONNECTION)

    async def refusal(self, *arguments: str, **variables: str) -> Finished:
        return await finish(
            "musterd", "serve", "rota:app", *arguments, folder=self.shop.folder, variables=self.variables | variables
        )


def answer(request: ChatRequest) -> Turn:
    """Say where an order is, with a halt for those who ask for it."""
    return text("It is ") + gate("halt") + text("here.") if request.prompt == "Halt." else text("It is here.")


@asynccontextmanager
async def open_rota(folder: Path, database: Database) -> AsyncGenerator[Rota]:
    await migrate_store(StoreSettings(url=database.dsn, db_schema=database.schema))
    async with open_shop(folder, answer) as shop:
        variables = {
            **shop.variables,
            "MUSTERD_STORE__URL": database.dsn,
            "MUSTERD_STORE__DB_SCHEMA": database.schema,
            "MUSTERD_STORE__LEASE_SECONDS": "3",
            "MUSTERD_STORE__POLL_SECONDS": "0.2",
        }
        yield Rota(shop, f"127.0.0.1:{find_free_port()}", variables)


async def workers_of(process: Process, *, time: int = 1) -> dict[int, int]:
    """Return the process ids of the workers by their numbers, once all serve for this time."""
    line = await process.logged("all_workers_serve", time=time)
    return {int(index): process_id for index, process_id in line["processes"].items()}


async def query(database: Database, statement: str) -> list[asyncpg.Record]:
    connection = await asyncpg.connect(database.dsn, server_settings={"search_path": quote(database.schema)})
    try:
        return await connection.fetch(statement)
    finally:
        await connection.close()


def find_free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


async def test_connections_are_spread_over_the_workers(folder: Path, postgres_database: Database) -> None:
    """R3: and a task of one is followed through the other."""
    async with open_rota(folder, postgres_database) as rota, rota.serving() as (server, workers):
        async with AsyncExitStack() as cleanup:
            # That all of these fall to one of two workers happens once in 2^39 times.
            clients = [await cleanup.enter_async_context(rota.client()) for _ in range(40)]
            results = await asyncio.gather(
                *[client.run_agent("support", "Where is it?").result() for client in clients]
            )
            logs = await asyncio.gather(*[log_of(clients[0], result.task.task_id) for result in results])
        first_line = await server.logged("serving")
    assert {int(line) for line in rota.shop.ledger()} == set(workers.values())
    assert all(is_dense(log) and isinstance(log[-1], TaskCompleted) for log in logs)
    assert (first_line["worker"], first_line["tcp"]) == (1, rota.tcp)


async def test_a_worker_that_dies_is_started_anew_and_its_run_goes_on(
    folder: Path, postgres_database: Database
) -> None:
    """R3: a client that follows throughout gets each event once."""
    async with open_rota(folder, postgres_database) as rota, rota.serving() as (server, workers):
        shop = rota.shop
        async with (
            shop.client() as first_only,
            Follower(run := first_only.run_agent("support", "Halt.")) as follower,
        ):
            await follower.seen(lambda event: isinstance(event, TextDelta))
            await shop.model.reached("halt")
            os.kill(workers[1], signal.SIGKILL)
            ended = await server.logged("worker_ended")
            again = await workers_of(server, time=2)
            async with MusterdClient(f"unix:{shop.socket}", channel_options=OWN_CONNECTION) as newcomer:
                # The unix socket is there again, for it is the first worker's.
                assert await newcomer.health() is HealthStatus.SERVING
            await shop.model.reached("halt", times=2)
            shop.model.release("halt")
            followed = await follower.ended()
            log = await log_of(first_only, run.task.task_id)
    assert (ended["worker"], ended["process"], ended["code"]) == (1, workers[1], -signal.SIGKILL)
    assert (again[2], again[1] != workers[1]) == (workers[2], True)
    assert is_dense(log)
    assert followed == log
    assert restarts_in(log) == [(1, RestartCause.RECOVERY)]
    assert isinstance(log[-1], TaskCompleted)


async def test_a_worker_that_is_told_to_stop_makes_room_for_a_new_one(
    folder: Path, postgres_database: Database
) -> None:
    """R3: so the workers are exchanged one by one."""
    async with open_rota(folder, postgres_database) as rota, rota.serving() as (server, workers):
        os.kill(workers[2], signal.SIGTERM)
        ended = await server.logged("worker_ended")
        again = await workers_of(server, time=2)
    assert (ended["worker"], ended["code"], ended["restart_in_seconds"]) == (2, 0, 0)
    assert again[1] == workers[1]
    assert again[2] != workers[2]


async def test_a_worker_that_cannot_start_again_is_tried_until_it_can(
    folder: Path, postgres_database: Database
) -> None:
    """R3: the others go on meanwhile."""
    async with open_rota(folder, postgres_database) as rota, rota.serving() as (server, workers):
        settings = folder / "musterd.toml"
        good = settings.read_text()
        settings.write_text("[sever]\n")
        os.kill(workers[2], signal.SIGTERM)
        tries = [await server.logged("worker_ended", time=time) for time in (2, 3)]
        settings.write_text(good)
        again = await workers_of(server, time=2)
    assert [(each["worker"], each["code"]) for each in tries] == [(2, 1)] * 2
    assert [each["restart_in_seconds"] for each in tries] == [restart_delay_seconds(1), restart_delay_seconds(2)]
    assert again[1] == workers[1]


async def test_sigterm_ends_all_workers_within_their_grace(folder: Path, postgres_database: Database) -> None:
    """R3."""
    async with open_rota(folder, postgres_database) as rota, rota.serving() as (server, _), rota.client() as client:
        run = client.run_agent("support", "Halt.", background=True)
        await run.start()
        await rota.shop.model.reached("halt")
        server.terminate()
        await asyncio.gather(server.logged("stopping"), server.logged("stopping", time=2))
        rota.shop.model.release("halt")
        ending = await server.finished()
        tasks = await query(postgres_database, "SELECT task_id, state, attempt FROM task")
    assert (ending.code, ending.stdout) == (0, "")
    assert "worker_ended" not in ending.stderr
    assert "Traceback" not in ending.stderr
    assert not rota.shop.socket.exists()
    assert [tuple(row) for row in tasks] == [(run.task.task_id, "completed", 1)]


async def test_a_sigterm_to_all_processes_leaves_the_workers_their_grace(
    folder: Path, postgres_database: Database
) -> None:
    """R3: a supervisor may send it to all of them, so a worker gets its parent's, too."""
    async with open_rota(folder, postgres_database) as rota, rota.client() as client:
        rota.variables["MUSTERD_SERVER__SHUTDOWN_GRACE_SECONDS"] = "3600"
        async with rota.serving() as (server, workers):
            run = client.run_agent("support", "Halt.", background=True)
            await run.start()
            await rota.shop.model.reached("halt")
            server.terminate()
            await asyncio.gather(server.logged("stopping"), server.logged("stopping", time=2))
            for process_id in workers.values():
                with suppress(ProcessLookupError):
                    os.kill(process_id, signal.SIGTERM)
            rota.shop.model.release("halt")
            ending = await server.finished()
            tasks = await query(postgres_database, "SELECT task_id, state, attempt FROM task")
    assert ending.code == 0
    assert "runs_left_resumable" not in ending.stderr
    assert [tuple(row) for row in tasks] == [(run.task.task_id, "completed", 1)]


async def test_a_second_signal_ends_the_grace_of_all_workers(folder: Path, postgres_database: Database) -> None:
    """R3."""
    async with open_rota(folder, postgres_database) as rota, rota.client() as client:
        rota.variables["MUSTERD_SERVER__SHUTDOWN_GRACE_SECONDS"] = "3600"
        async with rota.serving() as (server, _):
            await client.run_agent("support", "Halt.", background=True).start()
            await rota.shop.model.reached("halt")
            server.terminate()
            await asyncio.gather(server.logged("stopping"), server.logged("stopping", time=2))
            server.terminate()
            ending = await server.finished()
            rota.shop.model.release("halt")
    assert ending.code == 0
    assert "runs_left_resumable" in ending.stderr


async def test_workers_end_when_the_process_that_looks_after_them_is_killed(
    folder: Path, postgres_database: Database
) -> None:
    """R3: none is left behind that would hold the port."""
    async with open_rota(folder, postgres_database) as rota:
        async with rota.serving() as (server, _):
            # It returns once nobody holds the standard error that the workers share with it.
            await server.kill()
            ending = await server.finished()
        check_free(rota.tcp)
    assert ending.code == -signal.SIGKILL
    assert ending.stderr.count('"event": "stopped"') == 2


async def test_what_keeps_all_workers_from_starting_is_said_once(folder: Path, postgres_database: Database) -> None:
    """R3: nothing is started for ever that cannot start."""
    async with open_rota(folder, postgres_database) as rota:
        listen = ("--workers", "2", "--listen", rota.tcp)
        no_app = await finish(
            "musterd", "serve", "nowhere:app", *listen, folder=rota.shop.folder, variables=rota.variables
        )
        no_schema = await rota.refusal(*listen, MUSTERD_STORE__DB_SCHEMA="not_there")
    assert (no_app.code, no_schema.code) == (1, 1)
    assert no_app.stderr.count("musterd cannot start: there is no module 'nowhere'") == 1
    assert no_schema.stderr.count("run `musterd db migrate` first") == 1
    for refused in (no_app, no_schema):
        assert "Traceback" not in refused.stderr
        assert refused.stderr.count('"event": "worker_did_not_start"') == 1


async def test_the_port_of_another_server_is_not_shared(folder: Path) -> None:
    """R3: also when that server would share it."""
    with socket.create_server(("127.0.0.1", 0), reuse_port=True) as other:
        tcp = f"127.0.0.1:{other.getsockname()[1]}"
        command = (
            "serve",
            "rota:app",
            "--workers",
            "2",
            "--listen",
            tcp,
            "--store",
            "postgresql://127.0.0.1:1/musterd",
        )
        refused = await finish("musterd", *command, folder=folder, variables={})
    assert (refused.code, refused.stdout) == (1, "")
    assert refused.stderr.startswith(f"musterd cannot start: cannot listen on {tcp}")
