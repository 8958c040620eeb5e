"""Writes client/musterd_client/v1 from protos/musterd/v1; with --check only says whether it is up to date."""

import argparse
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

ROOT = Path(__file__).resolve().parent.parent
PROTOS = ROOT / "protos"
TARGET = ROOT / "client" / "musterd_client" / "v1"
INIT = '"""Generated from protos/musterd/v1 by scripts/generate.py. Do not edit."""\n'

# protoc names modules after the proto package, but `musterd` is the server's package. The quoted form is the name that
# message classes carry for their module. File names inside descriptors (musterd/v1/…) belong to the contract and stay.
RENAMES = (
    ("from musterd.v1 import", "from musterd_client.v1 import"),
    ("(DESCRIPTOR, 'musterd.v1.", "(DESCRIPTOR, 'musterd_client.v1."),
)


def generate() -> dict[str, str]:
    """Returns the text of each generated file by its name. Exits with protoc's message when it refuses the protos."""
    sources = sorted(str(path.relative_to(PROTOS)) for path in PROTOS.glob("musterd/v1/*.proto"))
    if not sources:
        sys.exit(f"no .proto files in {PROTOS / 'musterd' / 'v1'}")
    with TemporaryDirectory() as directory:
        outputs = [f"--{kind}_out={directory}" for kind in ("python", "pyi", "grpc_python")]
        command = [sys.executable, "-m", "grpc_tools.protoc", f"--proto_path={PROTOS}", *outputs, *sources]
        if status := subprocess.run(command, check=False).returncode:
            sys.exit(status)
        generated = {path.name: path.read_text() for path in Path(directory, "musterd", "v1").iterdir()}
    return {"__init__.py": INIT} | {name: rename(text) for name, text in generated.items()}


def rename(text: str) -> str:
    """Returns the text with the generated code's package in place of the proto package."""
    for old, new in RENAMES:
        text = text.replace(old, new)
    return text


def stored() -> dict[str, str]:
    """Returns the text of each file that is there now, by its name."""
    return {path.name: path.read_text() for path in TARGET.glob("*.py*") if path.is_file()}


def check() -> None:
    """Exits with the names of the files that differ from what the protos give."""
    wanted, present = generate(), stored()
    differing = [name for name in sorted(wanted | present) if wanted.get(name) != present.get(name)]
    if differing:
        lines = "\n".join(f"  {(TARGET / name).relative_to(ROOT)}" for name in differing)
        sys.exit(f"generated code is not what the protos give; run `make generate`:\n{lines}")
    print(f"generated code is up to date ({len(wanted)} files)")


def write() -> None:
    """Writes all files and deletes those that no proto gives any more."""
    wanted = generate()
    TARGET.mkdir(parents=True, exist_ok=True)
    for name in stored().keys() - wanted.keys():
        (TARGET / name).unlink()
    for name, text in wanted.items():
        (TARGET / name).write_text(text)
    print(f"wrote {len(wanted)} files to {TARGET.relative_to(ROOT)}")


def main() -> None:
    """Runs the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing, fail when a file differs")
    if parser.parse_args().check:
        check()
    else:
        write()


if __name__ == "__main__":
    main()
