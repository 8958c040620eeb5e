"""What a factory learns about the run that it builds for."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from musterd.domain.principal import JsonValue


@dataclass(frozen=True, slots=True, kw_only=True)
class TrustedContext:
    """What the verifier found in the caller's token. Nothing in it comes from the request itself."""

    claims: Mapping[str, JsonValue] = field(default_factory=dict[str, JsonValue])
    scopes: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestContext:
    """For whom and on what a run is built. Handed to factories, and to the agent as deps unless they give others.

    `input` is the validated instance of the factory's input_schema, or the raw object when it has none. `metadata` is
    the allow-listed part of the caller's metadata. `deadline` is when the run times out, in UTC.
    """

    user_id: str
    tenant_id: str
    session_id: str = ""
    input: Any = None
    trusted: TrustedContext = TrustedContext()
    metadata: Mapping[str, str] = field(default_factory=dict[str, str])
    task_id: str = ""
    deadline: datetime | None = None
