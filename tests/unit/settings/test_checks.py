"""Which settings are refused, and in which words."""

import re
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from musterd.settings import AuthSettings, RuntimeSettings, ServerSettings, Settings, StoreSettings

SECRET = "a secret that is long enough: 32"
SECTIONS: dict[str, Any] = {
    "server": ServerSettings,
    "auth": AuthSettings,
    "store": StoreSettings,
    "runtime": RuntimeSettings,
}


def refuse(section: str, words: str, **values: object) -> None:
    with pytest.raises(ValidationError, match=re.escape(words)):
        SECTIONS[section].model_validate(values)


@pytest.mark.parametrize(
    "server",
    [
        {},
        {"listen": "[::1]:0"},
        {"listen": "", "unix_socket": "musterd.sock"},
        {"unix_socket": "musterd.sock", "unix_socket_mode": 0o600},
        {"listen": "0.0.0.0:50051", "insecure": True},
        {"unix_socket": "musterd.sock", "unix_socket_mode": 0o666, "insecure": True},
    ],
)
def test_authentication_may_be_off_where_only_the_owner_can_call_or_when_asked_for(server: dict[str, Any]) -> None:
    """I3."""
    assert Settings.model_validate({"server": server}).auth.mode == "off"


@pytest.mark.parametrize(
    "server",
    [
        {"listen": "0.0.0.0:50051"},
        {"listen": "[::]:50051"},
        {"listen": "10.0.0.1:50051"},
        {"listen": "example.com:50051"},
        {"listen": "", "unix_socket": "musterd.sock", "unix_socket_mode": 0o660},
        {"unix_socket": "musterd.sock", "unix_socket_mode": 0o666},
        {"listen": "0.0.0.0:50051", "tls_certificate_file": "a.pem", "tls_private_key_file": "b.pem"},
    ],
)
def test_authentication_cannot_be_off_where_others_can_call(server: dict[str, Any]) -> None:
    """I3 (refusal)."""
    with pytest.raises(ValidationError, match=r"auth\.mode off"):
        Settings.model_validate({"server": server})
    with_auth = Settings.model_validate({"server": server, "auth": {"mode": "jwt", "secret": SECRET}})
    assert with_auth.auth.mode == "jwt"


@pytest.mark.parametrize(
    "auth",
    [{"secret": SECRET}, {"public_key_files": ["a.pem"]}, {"jwks_file": "a.json"}, {"jwks_url": "https://a.example/"}],
)
def test_mode_jwt_needs_keys(auth: dict[str, Any]) -> None:
    """I2."""
    assert AuthSettings.model_validate({"mode": "jwt", **auth}).mode == "jwt"
    refuse("auth", "mode jwt needs keys: set secret, public_key_files, jwks_file or jwks_url", mode="jwt")


@pytest.mark.parametrize(
    ("auth", "algorithms"),
    [
        ({}, ("RS256", "ES256", "EdDSA")),
        ({"secret": SECRET}, ("HS256",)),
        ({"secret": ""}, ("RS256", "ES256", "EdDSA")),
        ({"secret": SECRET, "jwks_file": "a.json"}, ("RS256", "ES256", "EdDSA", "HS256")),
        ({"secret": SECRET, "public_key_files": ["a.pem"]}, ("RS256", "ES256", "EdDSA", "HS256")),
        ({"secret": SECRET, "jwks_url": "https://a.example/"}, ("RS256", "ES256", "EdDSA", "HS256")),
        ({"secret": SECRET, "algorithms": ["HS256", "ES256"]}, ("HS256", "ES256")),
        ({"algorithms": "PS512"}, ("PS512",)),
    ],
)
def test_the_default_algorithms_follow_the_keys(auth: dict[str, Any], algorithms: tuple[str, ...]) -> None:
    """I2."""
    assert AuthSettings.model_validate(auth).algorithms == algorithms


def test_symmetric_algorithms_and_a_secret_go_together() -> None:
    """I2."""
    refuse("auth", "algorithms has HS256, HS512, which needs a secret", algorithms=["HS256", "HS512", "RS256"])
    refuse("auth", "secret is set, but algorithms has none that uses it", secret=SECRET, algorithms=["RS256"])
    refuse("auth", "secret has 31 bytes; HS256 needs at least 32", secret="x" * 31)
    refuse("auth", "secret has 32 bytes; HS512 needs at least 64", secret=SECRET, algorithms=["HS512"])


@pytest.mark.parametrize("algorithm", ["none", "rs256", "ES256K", ""])
def test_an_unknown_algorithm_is_refused(algorithm: str) -> None:
    """I2."""
    refuse("auth", "unknown", algorithms=[algorithm])


def test_there_is_at_least_one_algorithm() -> None:
    """I2."""
    refuse("auth", "at least 1 item", algorithms=[])


def test_a_key_set_url_is_https() -> None:
    """I2."""
    refuse("auth", "must be https", jwks_url="http://id.example.com/jwks.json")


def test_keys_live_longer_than_it_takes_to_load_them_again() -> None:
    """I2."""
    refuse("auth", "jwks_max_stale_seconds must be more", jwks_refresh_seconds=600, jwks_max_stale_seconds=600)


@pytest.mark.parametrize("field", ["tls_certificate_file", "tls_private_key_file"])
def test_tls_files_come_in_pairs(field: str) -> None:
    refuse("server", "tls_certificate_file and tls_private_key_file go together", **{field: "a.pem"})


def test_there_is_something_to_listen_on() -> None:
    refuse("server", "there is nothing to listen on", listen="")


@pytest.mark.parametrize(
    "listen",
    [
        "50051",
        ":50051",
        "127.0.0.1",
        "127.0.0.1:",
        "127.0.0.1:70000",
        "::1:50051",
        "[::1]",
        "unix:/a",
        "http://a:1",
        "a b:1",
    ],
)
def test_an_address_is_host_and_port(listen: str) -> None:
    refuse("server", "must be host:port", listen=listen)


@pytest.mark.parametrize("mode", [0o1000, 600, -1, "rw", "0888"])
def test_a_file_mode_has_nine_bits(mode: object) -> None:
    with pytest.raises(ValidationError):
        ServerSettings.model_validate({"unix_socket_mode": mode})


@pytest.mark.parametrize("key", ["authorization", "cookie", "proxy-authorization"])
def test_credentials_cannot_be_let_through(key: str) -> None:
    """I7 (refusal)."""
    refuse("server", f"'{key}' holds credentials", metadata_allow_list=["x-region", key])


@pytest.mark.parametrize("key", ["X-Region", "", "x region", "trace-bin"])
def test_a_metadata_key_is_one_of_text(key: str) -> None:
    """I7."""
    refuse("server", "is no key of text metadata", metadata_allow_list=[key])


@pytest.mark.parametrize(
    ("url", "path"),
    [
        ("sqlite:///musterd.db", "musterd.db"),
        ("sqlite:///data/musterd.db", "data/musterd.db"),
        ("sqlite:////var/lib/musterd.db", "/var/lib/musterd.db"),
    ],
)
def test_a_store_url_names_a_file(url: str, path: str) -> None:
    assert StoreSettings(url=url).sqlite_file == Path(path)


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("mysql://db/musterd", "there is no store for 'mysql'"),
        ("postgresql://", "must name a database"),
        ("postgresql://db", "must name a database"),
        ("postgres://db:5432/", "must name a database"),
        ("musterd.db", "must be a URL"),
        ("", "must be a URL"),
        ("sqlite://", "must name a file"),
        ("sqlite://musterd.db", "must name a file"),
        ("sqlite:///", "must name a file"),
        ("sqlite:////var/lib/", "must name a file"),
        ("sqlite:///:memory:", "need a file"),
        ("sqlite:///musterd.db?mode=ro", "takes no options"),
    ],
)
def test_another_store_url_is_refused(url: str, words: str) -> None:
    refuse("store", words, url=url)


@pytest.mark.parametrize("scheme", ["postgresql", "postgres"])
def test_a_store_may_be_shared(scheme: str) -> None:
    """R3."""
    assert StoreSettings(url=f"{scheme}://musterd@db:5432/musterd?sslmode=verify-full").is_shared
    assert not StoreSettings().is_shared


@pytest.mark.parametrize(
    ("field", "least", "most"),
    [
        ("connections_max", 3, 1_000),
        ("statement_timeout_seconds", 1, 600),
        ("lease_seconds", 3, 600),
        ("poll_seconds", 0.1, 60),
    ],
)
def test_what_the_store_of_many_processes_may_be_told_has_bounds(field: str, least: float, most: float) -> None:
    """R3."""
    for value in (least, most):
        assert getattr(StoreSettings.model_validate({field: value}), field) == value
    refuse("store", f"greater than or equal to {least:g}", **{field: least - 0.05 if least < 1 else least - 1})
    refuse("store", f"less than or equal to {most:g}", **{field: most + 1})


@pytest.mark.parametrize(
    ("field", "other"),
    [("event_retention_days", {"task_retention_days": 0}), ("task_retention_days", {"event_retention_days": 1})],
)
def test_what_is_kept_for_how_long_has_bounds(field: str, other: dict[str, int]) -> None:
    """R3: 0 is for ever."""
    for days in (0, 1, 36_500):
        assert getattr(StoreSettings.model_validate({**other, field: days}), field) == days
    refuse("store", "greater than or equal to 0", **{field: -1})
    refuse("store", "less than or equal to 36500", **{field: 36_501})


@pytest.mark.parametrize(("events", "tasks"), [(1, 1), (30, 31), (7, 0), (0, 0)])
def test_a_task_is_kept_as_long_as_its_log(events: int, tasks: int) -> None:
    """R3."""
    kept = StoreSettings(event_retention_days=events, task_retention_days=tasks)
    assert (kept.event_retention_days, kept.task_retention_days) == (events, tasks)
    assert (StoreSettings().event_retention_days, StoreSettings().task_retention_days) == (30, 90)


@pytest.mark.parametrize(("events", "tasks"), [(2, 1), (91, 90), (0, 90), (0, 36_500)])
def test_a_task_is_not_removed_before_its_log(events: int, tasks: int) -> None:
    """R3."""
    words = "task_retention_days must not be less than event_retention_days, for a log goes with its tasks: raise task_"
    refuse("store", words, event_retention_days=events, task_retention_days=tasks)


@pytest.mark.parametrize("name", ["", "x" * 64])
def test_a_schema_has_a_name_that_postgresql_takes(name: str) -> None:
    """R3."""
    assert StoreSettings(db_schema="x" * 63).db_schema == "x" * 63
    refuse("store", "String should have at", db_schema=name)


POSTGRES = {"url": "postgresql://musterd@db/musterd"}


def test_several_workers_share_a_port_and_a_database() -> None:
    """R3."""
    for workers in (1, 2, 256):
        both = Settings.model_validate({"server": {"workers": workers, "unix_socket": "a.sock"}, "store": POSTGRES})
        assert both.server.workers == workers
    for workers in (0, 257):
        refuse("server", "than or equal to", workers=workers)


def test_several_workers_are_refused_where_they_cannot_share() -> None:
    """R3."""
    refuse("server", "cannot share a unix socket: set listen", workers=2, listen="", unix_socket="a.sock")
    for listen in ("127.0.0.1:0", "[::1]:00"):
        refuse("server", "port 0 is another one for each: name a port in listen", workers=2, listen=listen)
    with pytest.raises(ValidationError, match=r"an SQLite file is for one process: set store\.url"):
        Settings.model_validate({"server": {"workers": 2}})
    alone = {"server": {"workers": 1, "listen": "127.0.0.1:0"}}
    assert Settings.model_validate(alone).server.workers == 1


def test_limits_of_runs_fit_together() -> None:
    refuse("runtime", "run_timeout_seconds must not be more", run_timeout_seconds=20, max_run_timeout_seconds=10)
    refuse(
        "runtime",
        "model_retry_initial_delay_seconds must not be more",
        model_retry_initial_delay_seconds=20,
        model_retry_max_delay_seconds=10,
    )
    refuse(
        "runtime",
        "hook_retry_initial_delay_seconds must not be more",
        hook_retry_initial_delay_seconds=20,
        hook_retry_max_delay_seconds=10,
    )


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -1, "soon"])
def test_a_time_is_a_number_in_its_bounds(value: object) -> None:
    with pytest.raises(ValidationError):
        RuntimeSettings.model_validate({"run_timeout_seconds": value})
