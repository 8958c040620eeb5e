"""What the bench finds out: figures, their targets, and how both are shown."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """The bound that a figure must keep."""

    bound: float
    is_least: bool = False

    def holds(self, value: float) -> bool:
        """Whether a value keeps the bound."""
        return value >= self.bound if self.is_least else value <= self.bound

    def __str__(self) -> str:
        return f"{'≥' if self.is_least else '≤'} {self.bound:g}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """One row of the result."""

    name: str
    value: float
    unit: str
    target: Target | None = None

    @property
    def ok(self) -> bool | None:
        """Whether the target is met; None without one."""
        return None if self.target is None else self.target.holds(self.value)


def write_json(figures: Sequence[Figure], path: Path) -> None:
    """Write the figures as a list of {name, value, unit, target, ok}."""
    rows = [
        {**asdict(figure), "target": figure.target.bound if figure.target else None, "ok": figure.ok}
        for figure in figures
    ]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(rows, indent=2) + "\n")


def show(figure: Figure) -> str:
    """Return a figure as a line of the terminal."""
    verdict = {True: "ok", False: "MISSED", None: ""}[figure.ok]
    target = "" if figure.target is None else str(figure.target)
    return f"{figure.name:<75} {figure.value:>9.4g} {figure.unit:<6} {target:<7} {verdict}".rstrip()
