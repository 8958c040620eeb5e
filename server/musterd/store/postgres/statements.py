"""SQL statements: each in a file of the folder `sql`, named after what it does."""

from importlib.resources import files


def load_statement(name: str) -> str:
    """Return the statement with this name. Raises FileNotFoundError."""
    return (files(__package__ or "") / "sql" / f"{name}.sql").read_text("utf-8")
