"""What a run may be given beside its message."""

from collections.abc import Callable, Mapping, Sequence
from typing import TypedDict, TypeVar

from google.protobuf.message import DecodeError

from musterd_client.codec import duration_to, enum_name, part_to, struct_to, usage_limits_to
from musterd_client.model import OnDisconnect, Part, Priority, UsageLimits
from musterd_client.request_ids import new_request_id

RequestT = TypeVar("RequestT")


class RunOptions(TypedDict, total=False):
    """The options of a run, the same for agents, teams and workflows. All may be left out.

    `parts` go to the model beside the message. `factory_input` is for the component's factory; for a workflow it is its
    input too. `background` starts the
    run and lets go of it. `request_id` makes a repeated call re-attach to the same task; without one the client makes
    one, so that it may repeat the call itself. `usage_limits` are for the whole tree of tasks. With `on_disconnect`
    CANCEL the run is canceled when this client lets go of its stream, which it also does when the task that reads the
    events is canceled. `metadata` are the caller's own labels, stored with the task.
    """

    parts: Sequence[Part]
    session_id: str
    user_id: str
    factory_input: Mapping[str, object] | None
    background: bool
    request_id: str | None
    run_timeout_seconds: float | None
    usage_limits: UsageLimits | None
    priority: Priority | None
    on_disconnect: OnDisconnect | None
    metadata: Mapping[str, str] | None


def run_request(make: Callable[..., RequestT], message: str, options: RunOptions) -> RequestT:
    """Returns the request to run something; `make` gives it what is to run.

    Raises:
        TypeError: there is no option of a name.
        ValueError: `factory_input` is not a JSON object, has an integer beyond ±2^53, or is nested too deeply.
    """
    if unknown := options.keys() - RunOptions.__annotations__.keys():
        known = ", ".join(RunOptions.__annotations__)
        raise TypeError(f"a run has no option {', '.join(sorted(unknown))}; it has {known}")
    try:
        return _request(make, message, options)
    except (DecodeError, RecursionError) as error:
        raise ValueError("factory_input: it is nested too deeply for a message") from error


def _request(make: Callable[..., RequestT], message: str, options: RunOptions) -> RequestT:
    factory_input = options.get("factory_input")
    return make(
        message=message,
        parts=[part_to(part) for part in options.get("parts", ())],
        session_id=options.get("session_id", ""),
        user_id=options.get("user_id", ""),
        factory_input=None if factory_input is None else struct_to(factory_input),
        background=options.get("background", False),
        request_id=options.get("request_id") or new_request_id(),
        run_timeout=duration_to(options.get("run_timeout_seconds")),
        usage_limits=usage_limits_to(options.get("usage_limits")),
        priority=enum_name("PRIORITY_", options.get("priority")),
        on_disconnect=enum_name("ON_DISCONNECT_", options.get("on_disconnect")),
        metadata=options.get("metadata"),
    )
