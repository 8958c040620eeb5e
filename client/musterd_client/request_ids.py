"""Ids that make repeated calls safe."""

from uuid import uuid4


def new_request_id() -> str:
    """Returns an id that makes a repeated call count once."""
    return str(uuid4())
