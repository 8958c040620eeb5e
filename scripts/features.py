"""Says which rows of docs/features.md no test proves; with ids of rows it lists the tests that name them.

Each row needs a test of the good case, `R8: …`, and one of what is refused or fails, `R8 (refusal): …`.
"""

import argparse
import ast
import re
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

ROOT = Path(__file__).resolve().parent.parent
ROW = re.compile(r"^\| ([A-Z]\d+) \|", re.MULTILINE)
IDS = r"[A-Z]\d+(?:, [A-Z]\d+)*"
HEAD = re.compile(rf"(?:(?P<refused>{IDS}) \(refusal\)(?:, (?P<rest>{IDS}))?|(?P<good>{IDS}))[:.]")
MEANT = re.compile(r"[A-Z]\d+\b|.*\(refusal\)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Proof:
    """What a test says that it proves, and where the test is."""

    place: str
    good: frozenset[str] = frozenset()
    refused: frozenset[str] = frozenset()
    is_understood: bool = True

    @classmethod
    def from_docstring(cls, text: str, *, place: str) -> Self:
        """Reads the rows at the head of a docstring. Those before the mark are refused, those after it are not."""
        if head := HEAD.match(text):
            good = head["good"] or head["rest"]
            return cls(place=place, good=_ids(good), refused=_ids(head["refused"]))
        return cls(place=place, is_understood=MEANT.match(text) is None)


def _ids(text: str | None) -> frozenset[str]:
    return frozenset(text.split(", ") if text else ())


def rows_of(page: str) -> list[str]:
    """Returns the ids of all rows, in their order."""
    return ROW.findall(page)


def proofs_of(source: str, *, path: str) -> Iterator[Proof]:
    """Yields what each test of a file proves."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test_"):
            yield Proof.from_docstring(ast.get_docstring(node) or "", place=f"{path}:{node.lineno}: {node.name}")


def problems_of(rows: Sequence[str], proofs: Iterable[Proof]) -> Iterator[str]:
    """Yields what is missing, and what no row is."""
    good: set[str] = set()
    refused: set[str] = set()
    for proof in proofs:
        good |= proof.good
        refused |= proof.refused
        if not proof.is_understood:
            yield f"{proof.place} begins neither with `R8: …` nor with `R8 (refusal): …`"
        if unknown := (proof.good | proof.refused) - set(rows):
            yield f"{proof.place} names {', '.join(sorted(unknown))}, which docs/features.md does not have"
    yield from (f"{row}: no test names it" for row in rows if row not in good)
    yield from (f"{row}: no test names a refusal of it" for row in rows if row not in refused)


def naming(row: str, proofs: Iterable[Proof]) -> Iterator[str]:
    """Yields a line for each test that names a row: first those of the good case."""
    of_row = [proof for proof in proofs if row in proof.good | proof.refused]
    yield from (f"{row}: {proof.place}" for proof in of_row if row in proof.good)
    yield from (f"{row} (refusal): {proof.place}" for proof in of_row if row in proof.refused)


def main() -> int:
    """Prints what is asked for; returns 1 when a row lacks a test, or a test names what is no row."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("rows", nargs="*", metavar="ROW", help="list the tests of this row")
    asked: list[str] = parser.parse_args().rows
    rows = rows_of((ROOT / "docs" / "features.md").read_text())
    paths = sorted((ROOT / "tests").rglob("*.py"))
    proofs = [proof for path in paths for proof in proofs_of(path.read_text(), path=str(path.relative_to(ROOT)))]
    if asked:
        print("\n".join(line for row in asked for line in naming(row, proofs)))
        return 0
    problems = list(problems_of(rows, proofs))
    print("\n".join(problems) or f"each of {len(rows)} features has a test of the good case and one of a refusal")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
