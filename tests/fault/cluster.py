"""Three replicas on one PostgreSQL, each in a process of its own and with its own way to the database."""

import os
import signal
import socket
from collections import deque
from collections.abc import AsyncGenerator, Callable, Iterable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from itertools import count
from pathlib import Path
from uuid import uuid4

from tests.contract.values import make_root, make_spec
from tests.support.followers import Follower
from tests.support.postgres_gates import Gate, GatedProxy, Said, Stop
from tests.support.processes import Process
from tests.support.tool_gates import ToolGates

from musterd.auth.claims import DEFAULT_TENANT
from musterd.domain.principal import Viewer
from musterd.domain.task import ComponentKind, ComponentRef
from musterd.settings import migrate_store
from musterd.settings.store import StoreSettings
from musterd.store.postgres import PostgresStore
from musterd.store.postgres.connection import Database
from musterd.testing.model import ChatRequest, FakeModel, Rule, Turn, text
from musterd_client import MusterdClient, RetryPolicy

APPS = Path(__file__).parent / "apps"
CALLER = Viewer(tenant_id=DEFAULT_TENANT, user_id="")
WORKER = ComponentRef(kind=ComponentKind.AGENT, id="worker")

REPLICAS = 3
LEASE_SECONDS = 3
POLL_SECONDS = 0.2

PORTS = range(21_000, 29_000)
"""Below those that connections get: a replica that was killed finds its port free again."""

PATIENT = RetryPolicy(call_attempts=1_000, resume_attempts=1_000, max_delay_seconds=0.2, max_asked_delay_seconds=0.2)
"""For clients that stay, whatever happens to replicas and database."""

_ports = count(os.getpid())


class Replica:
    """One process of the cluster, in its lives after each other."""

    def __init__(self, name: str, folder: Path, proxy: GatedProxy, variables: dict[str, str]) -> None:
        self.name = name
        self.proxy = proxy
        self.address = f"127.0.0.1:{find_port()}"
        self.process: Process | None = None
        self._folder = folder
        self._variables = {**variables, "MUSTERD_SERVER__LISTEN": self.address}
        self._life = AsyncExitStack()

    async def begin(self) -> None:
        """Start the process, unless it runs."""
        if self.process is None:
            serve = Process("musterd", "serve", "plant:app", folder=self._folder, variables=self._variables)
            self.process = await self._life.enter_async_context(serve)

    async def serving(self) -> None:
        """Return once the process takes calls."""
        await self.running.logged("serving")

    @property
    def running(self) -> Process:
        """The process, which runs."""
        assert self.process is not None, f"{self.name} does not run"
        return self.process

    async def kill(self) -> None:
        """Send SIGKILL, and return once the process is gone."""
        self.process = None
        await self._life.aclose()

    async def stop(self) -> None:
        """Send SIGTERM, and return once the process has ended well."""
        self.running.terminate()
        assert (await self.running.finished()).code == 0
        await self.kill()

    def pause(self) -> None:
        """Send SIGSTOP."""
        os.kill(self.running.process_id, signal.SIGSTOP)

    def resume(self) -> None:
        """Send SIGCONT."""
        os.kill(self.running.process_id, signal.SIGCONT)


@dataclass
class Cluster:
    """The replicas, and what outlives them: the model, the gates of tools, the ledger and the database."""

    model: FakeModel
    gates: ToolGates
    dsn: str
    schema: str
    ledger_file: Path
    scripts: dict[str, Rule]
    replicas: list[Replica] = field(default_factory=list[Replica])

    async def all_serving(self) -> None:
        """Start the replicas that do not run, and return once all take calls."""
        for replica in self.replicas:
            await replica.begin()
        for replica in self.replicas:
            await replica.serving()

    async def all_settled(self) -> None:
        """Return once each replica starts a run at once that is asked of it.

        One that has just failed to look at the queue leaves new runs there, where another replica may find them.
        """
        message = self.play("settled", lambda _: text("yes"))
        for first in range(REPLICAS):
            async with self.client(first) as client:
                task = None
                while task is None or task.start_time != task.create_time:
                    task = (await client.run_agent("worker", message).result()).task

    def play(self, message: str, script: Iterable[Turn] | Rule) -> str:
        """Let the model follow a script in runs with this message, which is returned."""
        self.scripts[message] = script if callable(script) else _in_order(script)
        return message

    def client(self, first: int = 0) -> MusterdClient:
        """Return a client of all replicas, which turns to `first` as long as it answers."""
        addresses = [self.replicas[(first + offset) % REPLICAS].address for offset in range(REPLICAS)]
        return MusterdClient(
            f"ipv4:{','.join(addresses)}",
            retry=PATIENT,
            channel_options={"grpc.max_reconnect_backoff_ms": 200, "grpc.default_authority": "localhost"},
        )

    @asynccontextmanager
    async def following(self, message: str, first: int = 0) -> AsyncGenerator[list[Follower]]:
        """Run the agent on a replica, and follow from all: give the caller, then those at the next replicas."""
        async with AsyncExitStack() as stack:
            clients = [
                await stack.enter_async_context(self.client((first + each) % REPLICAS)) for each in range(REPLICAS)
            ]
            run = clients[0].run_agent("worker", message)
            followers = [await stack.enter_async_context(Follower(run))]
            for client in clients[1:]:
                watch = client.tasks.watch(run.task.task_id)
                followers.append(await stack.enter_async_context(Follower(watch)))
            yield followers

    def gate(self, wanted: Callable[[Said], bool], stop: Stop, *, at: Iterable[int] = range(REPLICAS)) -> Gate:
        """Set up a gate for the first of these replicas that comes to it."""
        gate = Gate(wanted, stop)
        for index in at:
            self.replicas[index].proxy.add(gate)
        return gate

    def replica_behind(self, proxy: GatedProxy) -> Replica:
        """Return whose way to the database this is."""
        return next(replica for replica in self.replicas if replica.proxy is proxy)

    def ledger(self) -> list[str]:
        """Return what the tools really did, in order."""
        return self.ledger_file.read_text().splitlines() if self.ledger_file.exists() else []


async def enqueue(cluster: Cluster, message: str) -> str:
    """Leave a run of the agent in the queue, as a replica without room does; return its task's id."""
    database = Database(dsn=cluster.dsn, schema=cluster.schema)
    store = PostgresStore(database)
    await store.open(lambda _: None)
    try:
        spec = make_spec(CALLER, component=WORKER)
        new = make_root(CALLER, owner=None, spec=replace(spec, message=message, factory_input_json="{}"), payloads=())
        return (await store.create_task(new)).task.task_id
    finally:
        await store.close()


def _in_order(turns: Iterable[Turn]) -> Rule:
    left = deque(turns)
    return lambda _: left.popleft()


def find_port() -> int:
    """Return a port of PORTS that is free, and another one each time."""
    while True:
        port = PORTS[next(_ports) * 7 % len(PORTS)]
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port


@asynccontextmanager
async def open_cluster(folder: Path, dsn: str, **variables: str) -> AsyncGenerator[Cluster]:
    """Give a cluster on a schema of its own, whose replicas do not run yet."""
    schema = f"fault_{uuid4().hex}"
    await migrate_store(StoreSettings(url=dsn, db_schema=schema))
    scripts: dict[str, Rule] = {}

    def answer(request: ChatRequest) -> Turn:
        return scripts[request.prompt](request)

    async with AsyncExitStack() as stack:
        model = await stack.enter_async_context(FakeModel(answer))
        gates = await stack.enter_async_context(ToolGates())
        ledger = folder / "ledger.txt"
        cluster = Cluster(model, gates, dsn, schema, ledger, scripts)
        shared = {
            "PYTHONPATH": os.pathsep.join(filter(None, (str(APPS), os.environ.get("PYTHONPATH")))),
            "PLANT_MODEL_URL": model.base_url,
            "PLANT_GATES": gates.address,
            "PLANT_LEDGER": str(ledger),
            "MUSTERD_STORE__DB_SCHEMA": schema,
            "MUSTERD_STORE__LEASE_SECONDS": str(LEASE_SECONDS),
            "MUSTERD_STORE__POLL_SECONDS": str(POLL_SECONDS),
            "MUSTERD_LOG__FORMAT": "json",
            **variables,
        }
        for number in range(REPLICAS):
            proxy = GatedProxy(dsn, f"replica-{number}")
            url = await proxy.start()
            stack.push_async_callback(proxy.close)
            replica = Replica(proxy.name, folder, proxy, {**shared, "MUSTERD_STORE__URL": url})
            stack.push_async_callback(replica.kill)
            cluster.replicas.append(replica)
        yield cluster
