"""What `musterd serve` finds when it starts, and what it says when it cannot."""

import asyncio
import signal
import socket
import stat
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from pathlib import Path

import pytest
import pytest_asyncio
from tests.e2e.shop import Shop, open_shop
from tests.support.processes import Finished, Process, finish

from musterd_client import HealthStatus

pytestmark = pytest.mark.asyncio(loop_scope="module")


@dataclass(frozen=True)
class Running:
    """A shop whose server runs, its process id, and where it listens on TCP."""

    shop: Shop
    process_id: int
    tcp: str


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def running(tmp_path_factory: pytest.TempPathFactory) -> AsyncGenerator[Running]:
    """Start a server where a dead one has left its socket."""
    async with open_shop(tmp_path_factory.mktemp("shop"), ()) as shop:
        with socket.socket(socket.AF_UNIX) as left:
            left.bind(str(shop.socket))
        async with shop.serving() as server:
            yield Running(shop, server.process_id, (await server.logged("serving"))["tcp"])


async def test_a_socket_that_a_dead_server_left_is_replaced(running: Running) -> None:
    """I3."""
    async with running.shop.client() as client:
        assert await client.health() is HealthStatus.SERVING
    assert stat.S_IMODE(running.shop.socket.stat().st_mode) == 0o600


async def test_a_second_server_on_the_same_database_is_refused(running: Running) -> None:
    """R3."""
    refused = await serve("shop:app", "--unix-socket", "other.sock", shop=running.shop)
    assert f"musterd.db is in use by another server (process {running.process_id})" in why_not(refused)


async def test_a_second_server_on_the_same_socket_is_refused_and_leaves_it_alone(running: Running) -> None:
    """I3."""
    refused = await serve("shop:app", "--store", "sqlite:///other.db", shop=running.shop)
    assert why_not(refused).startswith("another server listens on musterd.sock")
    async with running.shop.client() as client:
        assert await client.health() is HealthStatus.SERVING


async def test_a_second_server_on_the_same_port_is_refused(running: Running) -> None:
    """I3."""
    elsewhere = ("--unix-socket", "other.sock", "--store", "sqlite:///other.db")
    refused = await serve("shop:app", "--listen", running.tcp, *elsewhere, shop=running.shop)
    assert why_not(refused).startswith(f"cannot listen on {running.tcp}")


@pytest.mark.parametrize(
    ("target", "message"),
    [
        ("nowhere:app", "there is no module 'nowhere' in"),
        ("shop:clerk", "shop.clerk is of type Agent; it must be a Musterd app"),
    ],
    ids=["module", "type"],
)
async def test_an_app_that_cannot_be_found_is_named(running: Running, target: str, message: str) -> None:
    """C1."""
    assert message in why_not(await serve(target, shop=running.shop))


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_server_that_waits_for_its_database_ends_when_it_is_told_to(
    running: Running, number: signal.Signals
) -> None:
    """R3: whoever starts it need not wait until the database answers, or never does."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        silent.setblocking(False)
        arguments = ("serve", "shop:app", "--store", f"postgresql://127.0.0.1:{silent.getsockname()[1]}/musterd")
        shop = running.shop
        async with Process("musterd", *arguments, folder=shop.folder, variables=shop.variables) as server:
            connection, _ = await asyncio.get_running_loop().sock_accept(silent)
            with connection:
                server.send_signal(number)
                ending = await server.finished()
    assert (ending.code, ending.stdout) == (0, "")
    assert "stopped_before_serving" in ending.stderr
    assert "Traceback" not in ending.stderr


async def test_each_setting_that_is_wrong_is_named_with_its_place(folder: Path) -> None:
    """I2."""
    (folder / "musterd.toml").write_text('[server]\nlisten = "nowhere"\nunix_sokcet = "here"\n')
    variables = {"MUSTERD_STORE__URL": "mysql://here"}
    refused = await finish("musterd", "serve", "shop:app", folder=folder, variables=variables)
    message = why_not(refused)
    assert "server.listen: must be host:port" in message
    assert "server.unix_sokcet: unknown setting; did you mean unix_socket? (from musterd.toml)" in message
    assert "store.url: there is no store for 'mysql'" in message
    assert "(from MUSTERD_STORE__URL)" in message


async def test_commands_of_clients_start_without_what_the_server_needs(folder: Path) -> None:
    program = "import sys, musterd.cli; print({'musterd.app', 'musterd.settings', 'pydantic_ai'} & set(sys.modules))"
    assert await finish("python", "-c", program, folder=folder, variables={}) == Finished(
        code=0, stdout="set()\n", stderr=""
    )


async def serve(*arguments: str, shop: Shop) -> Finished:
    return await finish("musterd", "serve", *arguments, folder=shop.folder, variables=shop.variables)


def why_not(refused: Finished) -> str:
    """Return the reason that a server gave before it ended with 1."""
    assert (refused.code, refused.stdout) == (1, "")
    assert "Traceback" not in refused.stderr
    _, said, reason = refused.stderr.partition("musterd cannot start: ")
    assert said
    return reason
