"""Where settings come from, and what comes first."""

from pathlib import Path

import pytest
from pydantic import ValidationError

from musterd.settings import Settings, SettingsError, load_settings


def problems_of(flags: dict[str, dict[str, object]] | None = None, config_file: Path | None = None) -> tuple[str, ...]:
    with pytest.raises(SettingsError) as caught:
        load_settings(flags, config_file=config_file)
    assert str(caught.value) == "\n".join(caught.value.problems)
    return caught.value.problems


def test_without_anything_all_is_default() -> None:
    loaded = load_settings()
    assert loaded.settings == Settings()
    assert loaded.origins == {}


def test_a_flag_wins_over_the_environment_and_that_over_the_file(
    empty_place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (empty_place / "musterd.toml").write_text(
        '[runtime]\nfactory_threads = 1\nmax_running_tasks = 1\nflush_max_events = 1\n[log]\nlevel = "debug"\n'
    )
    monkeypatch.setenv("MUSTERD_RUNTIME__FACTORY_THREADS", "2")
    monkeypatch.setenv("MUSTERD_RUNTIME__MAX_RUNNING_TASKS", "2")
    loaded = load_settings({"runtime": {"factory_threads": 3}})
    runtime = loaded.settings.runtime
    assert (runtime.factory_threads, runtime.max_running_tasks, runtime.flush_max_events) == (3, 2, 1)
    assert runtime.model_max_retries == 3
    assert loaded.settings.log.level == "debug"
    assert loaded.origins == {
        "runtime.factory_threads": "flag",
        "runtime.max_running_tasks": "MUSTERD_RUNTIME__MAX_RUNNING_TASKS",
        "runtime.flush_max_events": "musterd.toml",
        "log.level": "musterd.toml",
    }


def test_a_file_is_named_by_argument_or_variable_or_lies_here(
    empty_place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, level in (("musterd.toml", "debug"), ("env.toml", "warning"), ("flag.toml", "error")):
        (empty_place / name).write_text(f'[log]\nlevel = "{level}"\n')
    assert load_settings().settings.log.level == "debug"
    monkeypatch.setenv("MUSTERD_CONFIG", "env.toml")
    assert load_settings().settings.log.level == "warning"
    assert load_settings(config_file=Path("flag.toml")).settings.log.level == "error"


def test_a_named_file_must_be_there(monkeypatch: pytest.MonkeyPatch) -> None:
    assert problems_of(config_file=Path("nowhere.toml")) == ("nowhere.toml: there is no such file",)
    monkeypatch.setenv("MUSTERD_CONFIG", "elsewhere.toml")
    assert problems_of() == ("elsewhere.toml: there is no such file",)


@pytest.mark.parametrize("content", [b"[server", b"\xff\xfe", b"server = {"])
def test_a_file_that_is_no_toml_is_an_error_that_names_it(empty_place: Path, content: bytes) -> None:
    (empty_place / "musterd.toml").write_bytes(content)
    (problem,) = problems_of()
    assert problem.startswith("musterd.toml: ")


def test_lists_are_parted_by_commas_in_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MUSTERD_SERVER__METADATA_ALLOW_LIST", "x-region, x-plan,")
    monkeypatch.setenv("MUSTERD_AUTH__PUBLIC_KEY_FILES", "a.pem,/etc/b.pem")
    settings = load_settings().settings
    assert settings.server.metadata_allow_list == ("x-region", "x-plan")
    assert settings.auth.public_key_files == (Path("a.pem"), Path("/etc/b.pem"))


def test_an_empty_variable_unsets_what_the_file_sets(empty_place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (empty_place / "musterd.toml").write_text('[server]\nunix_socket = "/run/musterd.sock"\n[auth]\nissuer = "x"\n')
    assert load_settings().settings.server.unix_socket == Path("/run/musterd.sock")
    monkeypatch.setenv("MUSTERD_SERVER__UNIX_SOCKET", "")
    monkeypatch.setenv("MUSTERD_AUTH__ISSUER", "")
    settings = load_settings().settings
    assert settings.server.unix_socket is None
    assert settings.auth.issuer is None


@pytest.mark.parametrize("text", ["600", "0600", "0o600"])
def test_a_file_mode_is_octal_in_variables(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setenv("MUSTERD_SERVER__UNIX_SOCKET_MODE", text)
    assert load_settings().settings.server.unix_socket_mode == 0o600


def test_variables_are_read_in_any_case(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("musterd_log__level", "error")
    assert load_settings().settings.log.level == "error"


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        ("MUSTERD_SERVER__LISTN", "MUSTERD_SERVER__LISTN: unknown variable; did you mean MUSTERD_SERVER__LISTEN?"),
        ("MUSTERD_LISTEN", "MUSTERD_LISTEN: unknown variable"),
        ("MUSTERD_SERVER", "MUSTERD_SERVER: unknown variable"),
        ("MUSTERD_SERVER__LISTEN__HOST", "MUSTERD_SERVER__LISTEN__HOST: unknown variable"),
        ("MUSTERD_SERVER_LISTEN", "MUSTERD_SERVER_LISTEN: unknown variable; did you mean MUSTERD_SERVER__LISTEN?"),
        ("MUSTERD_COLOR", "MUSTERD_COLOR: unknown variable"),
    ],
)
def test_an_unknown_variable_is_an_error(monkeypatch: pytest.MonkeyPatch, name: str, problem: str) -> None:
    monkeypatch.setenv(name, "hunter2")
    (found,) = problems_of()
    assert found.startswith(problem)
    assert "hunter2" not in found


def test_variables_that_somebody_else_reads_are_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MUSTERD_TARGET", "127.0.0.1:1")
    assert load_settings(other_variables=("MUSTERD_TARGET",)).settings == Settings()


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ('[server]\nlisten_on = "x"\n', "server.listen_on: unknown setting; did you mean listen? (from musterd.toml)"),
        ("[servr]\nx = 1\n", "servr: unknown section; did you mean server? (from musterd.toml)"),
        ("server = 1\n", "server: must be a section, not a value (from musterd.toml)"),
        ("_env_file = 1\n", "_env_file: unknown section (from musterd.toml)"),
    ],
)
def test_an_unknown_key_in_the_file_is_an_error(empty_place: Path, content: str, problem: str) -> None:
    (empty_place / "musterd.toml").write_text(content)
    assert problems_of() == (problem,)


def test_an_unknown_flag_is_an_error() -> None:
    assert problems_of({"server": {"port": 1}}) == ("server.port: unknown setting (from flag)",)
    assert problems_of({"sever": {"port": 1}}) == ("sever: unknown section; did you mean server? (from flag)",)


def test_an_unknown_argument_is_an_error() -> None:
    with pytest.raises(ValidationError):
        Settings.model_validate({"servr": {}})
    with pytest.raises(ValidationError):
        Settings.model_validate({"server": {"port": 1}})


def test_settings_made_directly_look_nowhere_else(empty_place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (empty_place / "musterd.toml").write_text('[log]\nlevel = "debug"\n')
    monkeypatch.setenv("MUSTERD_LOG__FORMAT", "json")
    assert (Settings().log.level, Settings().log.format) == ("info", "console")


def test_all_problems_are_told_at_once_with_where_they_come_from(
    empty_place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (empty_place / "musterd.toml").write_text('[log]\nlevel = "loud"\n')
    monkeypatch.setenv("MUSTERD_RUNTIME__FACTORY_THREADS", "many")
    problems = problems_of({"server": {"heartbeat_seconds": 0}})
    assert [problem.partition(":")[0] for problem in problems] == [
        "server.heartbeat_seconds",
        "runtime.factory_threads",
        "log.level",
    ]
    assert [problem.rpartition("(")[2] for problem in problems] == [
        "from flag)",
        "from MUSTERD_RUNTIME__FACTORY_THREADS)",
        "from musterd.toml)",
    ]


def test_settings_do_not_change() -> None:
    settings = Settings()
    with pytest.raises(ValidationError):
        settings.log.level = "debug"  # pyright: ignore[reportAttributeAccessIssue]
    with pytest.raises(ValidationError):
        settings.log = settings.log  # pyright: ignore[reportAttributeAccessIssue]
