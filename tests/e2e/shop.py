"""The world around one server process: its folder, keys, model and tools' gates, which outlive its lives."""

import os
from collections.abc import AsyncGenerator, Iterable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from time import time

from tests.support.processes import Finished, Process, finish
from tests.support.tool_gates import ToolGates
from tests.unit.auth.issuer import AUDIENCE, ISSUER, Signer, jwk_of, jwks_of, rsa_key
from tests.unit.auth.jwks_server import JwksServer

from musterd.testing.model import FakeModel, Rule, Turn
from musterd_client import MusterdClient, RetryPolicy

APPS = Path(__file__).parent / "apps"
KEY_ID = "2026"
SCOPES = "agents:run tasks:read tasks:cancel"
PATIENT = RetryPolicy(resume_attempts=1_000, max_delay_seconds=0.2)
"""For clients that follow a task from one life of the server into the next."""

SETTINGS = """
[server]
listen = "127.0.0.1:0"
unix_socket = "musterd.sock"

[store]
url = "sqlite:///musterd.db"

[auth]
mode = "jwt"
jwks_url = "{jwks_url}"
issuer = "{issuer}"
audience = "{audience}"

[log]
format = "json"
"""


class Shop:
    """Starts `musterd serve shop:app` in a folder, again and again, and gives its customers tokens."""

    def __init__(self, folder: Path, model: FakeModel, gates: ToolGates, keys: JwksServer) -> None:
        self.folder = folder
        self.model = model
        self.gates = gates
        self.socket = folder / "musterd.sock"
        self._ledger = folder / "ledger.txt"
        self._signer = Signer(key=rsa_key(), algorithm="RS256", kid=KEY_ID)
        keys.document = jwks_of(jwk_of(rsa_key(), KEY_ID, alg="RS256", use="sig"))
        settings = SETTINGS.format(jwks_url=keys.url, issuer=ISSUER, audience=AUDIENCE)
        (folder / "musterd.toml").write_text(settings)

    @property
    def variables(self) -> dict[str, str]:
        """The environment of every process of this shop."""
        return {
            "PYTHONPATH": os.pathsep.join(filter(None, (str(APPS), os.environ.get("PYTHONPATH")))),
            "SHOP_MODEL_URL": self.model.base_url,
            "SHOP_GATES": self.gates.address,
            "SHOP_LEDGER": str(self._ledger),
        }

    def token(self, user_id: str = "ada", *, scope: str = SCOPES, tier: str = "gold") -> str:
        """Return a customer's token, signed with RS256."""
        now = int(time())
        return self._signer.token(sub=user_id, scope=scope, tier=tier, iat=now, exp=now + 600)

    def client(self, token: str | None = None, *, retry: RetryPolicy = PATIENT) -> MusterdClient:
        """Return a client of whichever life of the server is there."""
        return MusterdClient(
            f"unix:{self.socket}",
            token=token or self.token(),
            retry=retry,
            channel_options={"grpc.max_reconnect_backoff_ms": 200},
        )

    def ledger(self) -> list[str]:
        """Return what the tools really did, in order."""
        return self._ledger.read_text().splitlines() if self._ledger.exists() else []

    @asynccontextmanager
    async def serving(self, app: str = "shop:app", **variables: str) -> AsyncGenerator[Process]:
        """Give a server process that takes calls, and kill it at the end if it still runs."""
        async with Process(
            "musterd", "serve", app, folder=self.folder, variables={**self.variables, **variables}
        ) as process:
            await process.logged("serving")
            yield process

    async def command(self, *arguments: str, **variables: str) -> Finished:
        """Run a command of `musterd` to its end, as a customer of this server."""
        mine = {"MUSTERD_TARGET": f"unix:{self.socket}", "MUSTERD_TOKEN": self.token()}
        return await finish(
            "musterd", *arguments, folder=self.folder, variables={**mine, **self.variables, **variables}
        )


@asynccontextmanager
async def open_shop(folder: Path, script: Iterable[Turn] | Rule) -> AsyncGenerator[Shop]:
    """Give a shop whose model follows a script. No server runs yet."""
    async with AsyncExitStack() as cleanup:
        keys = JwksServer()
        cleanup.callback(keys.close)
        model = await cleanup.enter_async_context(FakeModel(script))
        gates = await cleanup.enter_async_context(ToolGates())
        yield Shop(folder, model, gates, keys)
