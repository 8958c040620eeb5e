"""Which numbers of workers `musterd serve` refuses, and in which words."""

import os
import re
import socket
from pathlib import Path

import pytest
from typer.testing import CliRunner

from musterd.cli import app
from musterd.transport.server import check_free

POSTGRES = ("--store", "postgresql://127.0.0.1:1/musterd")


@pytest.fixture(autouse=True)
def empty_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Work in an empty folder, without any of our variables."""
    for name in [name for name in os.environ if name.upper().startswith("MUSTERD_")]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--workers", "2"), "an SQLite file is for one process: set store.url to a PostgreSQL database"),
        (("--workers", "2", "--listen", "", "--unix-socket", "a.sock", *POSTGRES), "cannot share a unix socket"),
        (("--workers", "2", "--listen", "127.0.0.1:0", *POSTGRES), "port 0 is another one for each"),
        (("--workers", "0", *POSTGRES), "server.workers: Input should be greater than or equal to 1 (from flag)"),
        (("--workers", "257", *POSTGRES), "server.workers: Input should be less than or equal to 256 (from flag)"),
    ],
    ids=["sqlite", "unix socket", "port 0", "none", "too many"],
)
def test_workers_are_refused_where_they_cannot_work(arguments: tuple[str, ...], words: str) -> None:
    """R3."""
    refused = CliRunner().invoke(app, ["serve", "shop:app", *arguments])
    assert (refused.exit_code, refused.stdout) == (1, "")
    assert refused.stderr.startswith("musterd cannot start: ")
    assert words in refused.stderr


def test_what_only_workers_are_told_is_not_shown() -> None:
    shown = CliRunner().invoke(app, ["serve", "--help"], terminal_width=200)
    assert "--workers" in shown.stdout
    assert "--worker " not in shown.stdout


@pytest.mark.parametrize(("family", "host"), [(socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "[::1]")])
def test_a_port_is_free_when_nobody_listens_there(family: socket.AddressFamily, host: str) -> None:
    """R3: though whoever listens there would share it."""
    with socket.create_server((host.strip("[]"), 0), family=family, reuse_port=True) as other:
        listen = f"{host}:{other.getsockname()[1]}"
        with pytest.raises(OSError, match="is another server there"):
            check_free(listen)
    check_free(listen)


def test_an_address_of_another_machine_is_refused_in_words_that_fit() -> None:
    """R3."""
    with pytest.raises(OSError, match=re.escape("cannot listen on 192.0.2.1:50051: Cannot assign requested address")):
        check_free("192.0.2.1:50051")


def test_a_name_is_free_when_only_some_of_its_addresses_are_this_machine_s(monkeypatch: pytest.MonkeyPatch) -> None:
    """R3: as localhost is where there is no IPv6."""

    def of_both(*_: object, **__: object) -> list[tuple[object, ...]]:
        return [(socket.AF_INET, socket.SOCK_STREAM, 0, "", (host, 0)) for host in ("192.0.2.1", "127.0.0.1")]

    monkeypatch.setattr(socket, "getaddrinfo", of_both)
    check_free("both.example:0")


def test_an_address_that_means_nothing_is_left_to_who_binds_it() -> None:
    """R3."""
    check_free("nowhere.invalid:50051")
