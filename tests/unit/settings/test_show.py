"""How settings are shown."""

import tomllib
from pathlib import Path

import pytest
from pydantic import ValidationError

from musterd.settings import Settings, SettingsError, load_settings, show_settings

SECRET = "hunter2 hunter2 hunter2 hunter2!"


def test_each_value_is_shown_with_where_it_comes_from(empty_place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (empty_place / "musterd.toml").write_text('[auth]\nissuer = "https://id.example.com/"\n')
    monkeypatch.setenv("MUSTERD_SERVER__METADATA_ALLOW_LIST", "x-region,x-plan")
    lines = show_settings(load_settings({"log": {"level": "debug"}})).splitlines()
    assert 'issuer = "https://id.example.com/"  # musterd.toml' in lines
    assert 'metadata_allow_list = ["x-region", "x-plan"]  # MUSTERD_SERVER__METADATA_ALLOW_LIST' in lines
    assert 'level = "debug"  # flag' in lines
    assert 'listen = "127.0.0.1:50051"  # default' in lines
    assert "unix_socket_mode = 0o600  # default" in lines
    assert "# unix_socket is not set" in lines


def test_what_is_shown_is_a_file_that_says_the_same(empty_place: Path) -> None:
    flags: dict[str, dict[str, object]] = {
        "server": {"unix_socket": 'a "quoted" näme.sock', "listen": ""},
        "auth": {"leeway_seconds": 2.5, "public_key_files": ["a.pem"]},
    }
    first = load_settings(flags)
    (empty_place / "musterd.toml").write_text(show_settings(first))
    assert load_settings().settings == first.settings


def test_a_secret_is_shown_nowhere(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MUSTERD_AUTH__SECRET", SECRET)
    loaded = load_settings()
    shown = show_settings(loaded)
    assert tomllib.loads(shown)["auth"]["secret"] == "**********"
    assert "# MUSTERD_AUTH__SECRET" in shown
    for text in (shown, repr(loaded), str(loaded.settings), loaded.settings.model_dump_json()):
        assert "hunter2" not in text


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("postgresql://ada:hunter2@db:5432/musterd", "postgresql://ada:**********@db:5432/musterd"),
        ("postgresql://ada:hunter2%40@[::1]/musterd?sslmode=require", "postgresql://ada:**********@[::1]/musterd?sslmode=require"),
        ("postgres://:hunter2@db/musterd", "postgres://:**********@db/musterd"),
        ("postgresql://ada@db/musterd", "postgresql://ada@db/musterd"),
    ],
)  # fmt: skip
def test_the_password_of_the_database_is_masked(url: str, shown: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """R3."""
    monkeypatch.setenv("MUSTERD_STORE__URL", url)
    text = show_settings(load_settings())
    assert tomllib.loads(text)["store"]["url"] == shown
    assert "hunter2" not in text


@pytest.mark.parametrize(
    "auth",
    [
        {"secret": "hunter2"},
        {"secret": SECRET, "algorithms": ["RS256"]},
        {"secret": ["hunter2"]},
        {"secret": SECRET, "mode": "wrong"},
        {"secret": SECRET, "secrt": SECRET},
        {"secret": SECRET, "jwks_url": "https://user:hunter2@id.example.com/"},
    ],
)
def test_no_error_repeats_a_secret(auth: dict[str, object]) -> None:
    with pytest.raises(ValidationError) as direct:
        Settings.model_validate({"auth": auth})
    with pytest.raises(SettingsError) as loaded:
        load_settings({"auth": auth})
    assert "hunter2" not in str(direct.value) + str(loaded.value) + repr(loaded.value)
    assert loaded.value.__cause__ is None
