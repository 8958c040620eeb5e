"""What rows measure with: processes that start when they are first needed, and a token that the server takes."""

import json
import time
from collections.abc import AsyncGenerator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from tests.bench.load import Load, load_on
from tests.bench.processes import Measured, measured
from tests.bench.sampling import print_profile

KEY_NAME = "bench"
TOKEN_SECONDS = 3600
CONNECTIONS = 4


class Setting:
    """One folder, one key, one token. Each process that it starts lives as long as the block that asked for it.

    `divisor` makes rows do less, and rounds one, for a look whether all works. With `profiles` each server tells where
    its CPU time went.
    """

    def __init__(self, folder: Path, *, divisor: int, profiles: bool) -> None:
        self.divisor = divisor
        self._profiles = profiles
        self._folder = folder
        self._servers = 0
        self._key_file = folder / f"{KEY_NAME}.pem"
        key = generate_private_key(65537, 2048)
        self._key_file.write_bytes(key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
        claims = {
            "sub": "bench",
            "tenant_id": "bench",
            "scope": "agents:run tasks:read tasks:cancel",
            "exp": int(time.time()) + TOKEN_SECONDS,
        }
        self._token = jwt.encode(claims, key, algorithm="RS256", headers={"kid": KEY_NAME})

    def count(self, full: int) -> int:
        """Return how many runs, streams or calls to make where the whole bench makes `full`."""
        return max(1, full // self.divisor)

    def rounds(self, full: int) -> int:
        """Return how many rounds to take where the whole bench takes `full`."""
        return full if self.divisor == 1 else 1

    @asynccontextmanager
    async def server(
        self, *, store: Mapping[str, str] | None = None, core: int = 0, **runtime: Any
    ) -> AsyncGenerator[tuple[Measured, Load]]:
        """Give a new server, and load on it. `store` and `runtime` are settings of these sections.

        Without a `store` it is a new SQLite file.
        """
        self._servers += 1
        home = self._folder / f"server-{self._servers}"
        home.mkdir()
        async with AsyncExitStack() as stack:
            sections = json.dumps({"runtime": runtime, "store": store or {}})
            server = await stack.enter_async_context(
                measured("server", str(home), str(self._key_file), sections, core=core)
            )
            load = await stack.enter_async_context(load_on(server.hello, self._token, CONNECTIONS))
            if self._profiles:
                await server.ask(do="sample")
            yield server, load
            if self._profiles:
                print_profile(await server.ask(do="report"))

    @asynccontextmanager
    async def echo(self) -> AsyncGenerator[tuple[Measured, Load]]:
        """Give a bare gRPC server, and load on it."""
        async with AsyncExitStack() as stack:
            server = await stack.enter_async_context(measured("echo"))
            yield server, await stack.enter_async_context(load_on(server.hello, self._token, CONNECTIONS))

    @asynccontextmanager
    async def pair(self) -> AsyncGenerator[tuple[Measured, Load, Measured]]:
        """Give a server with load on it, and what runs the same agents without one."""
        async with self.server() as (server, load), measured("in_process") as baseline:
            yield server, load, baseline


@asynccontextmanager
async def new_setting(*, divisor: int, profiles: bool) -> AsyncGenerator[Setting]:
    """Give a setting in a temporary folder."""
    with TemporaryDirectory(prefix="musterd-bench-") as folder:
        yield Setting(Path(folder), divisor=divisor, profiles=profiles)
