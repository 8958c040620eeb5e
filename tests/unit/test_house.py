"""Rules of the house that no other tool holds: how long files may be, what they may be called, what is pinned."""

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
FOLDERS = ("server", "client", "tests", "examples", "scripts")
GENERATED = ROOT / "client" / "musterd_client" / "v1"
MOST_LINES = 450
MIXED_BAGS = {"utils", "util", "helpers", "helper", "common", "base", "misc"}
PINNED = re.compile(
    r"(?P<name>[a-z0-9._-]+)(\[[a-z0-9, _-]+\])?==(?P<version>[^\s;]+)( ; [^-]+)?( --hash=sha256:[0-9a-f]{64})+",
)


def our_python_files() -> list[Path]:
    files = [path for folder in FOLDERS for path in (ROOT / folder).rglob("*.py")]
    return sorted(path for path in files if not path.is_relative_to(GENERATED))


def constraints() -> list[str]:
    """Returns the constraints, each with its hashes on one line."""
    lines = (ROOT / "constraints.txt").read_text().replace("\\\n", "").splitlines()
    return [" ".join(line.split()) for line in lines if not line.startswith("#")]


def pins() -> dict[str, str]:
    """Returns the version of each pinned package by its name."""
    found = (PINNED.fullmatch(line) for line in constraints())
    return {match["name"]: match["version"] for match in found if match}


def test_no_file_is_longer_than_a_reader_keeps_in_mind() -> None:
    lengths = {str(path.relative_to(ROOT)): len(path.read_text().splitlines()) for path in our_python_files()}
    assert lengths
    assert {name: length for name, length in lengths.items() if length > MOST_LINES} == {}


def test_no_module_is_a_mixed_bag() -> None:
    names = (path.relative_to(ROOT) for path in our_python_files())
    assert [str(name) for name in names if MIXED_BAGS & {part.removesuffix(".py") for part in name.parts}] == []


def test_every_package_is_pinned_to_one_version_with_its_hashes() -> None:
    assert constraints()
    assert [line for line in constraints() if not PINNED.fullmatch(line)] == []
    assert len(pins()) == len(constraints())


def test_the_constraints_name_no_address_and_no_option() -> None:
    text = (ROOT / "constraints.txt").read_text()
    assert "://" not in text
    assert re.findall(r"^-.*", text, flags=re.MULTILINE) == []


def test_the_packages_of_grpc_have_one_version() -> None:
    family = {name: version for name, version in pins().items() if name.partition("-")[0] == "grpcio"}
    assert {"grpcio", "grpcio-tools", "grpcio-status", "grpcio-testing"} <= family.keys()
    assert len(set(family.values())) == 1


def test_our_own_packages_are_not_pinned() -> None:
    assert {"musterd", "musterd-client"}.isdisjoint(pins())
