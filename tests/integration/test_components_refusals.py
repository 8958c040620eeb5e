"""How a factory refuses a run: with its own words when it means to, with none of them when it does not."""

import asyncio
import sys
import threading
from collections.abc import Callable
from typing import Any

import pytest
from pydantic_ai import Agent
from structlog.testing import capture_logs
from tests.support.gated_model import saying

from musterd import (
    AgentFactory,
    Built,
    FactoryPermissionError,
    FactoryValidationError,
    Musterd,
    Prototype,
    RequestContext,
)
from musterd.testing import serve
from musterd_client import (
    CallError,
    DeadlineExceededError,
    InvalidArgumentError,
    MusterdClient,
    PermissionDeniedError,
    ServerFailedError,
)

SECRET_WORDS = "postgres://admin:hunter2@db"


async def refusal(client: MusterdClient, agent_id: str = "it") -> CallError:
    """Run an agent that is refused, and return how. There must be no task of it."""
    with pytest.raises(CallError) as caught:
        await client.run_agent(agent_id, "go").result()
    assert [task async for task in client.tasks.list()] == []
    return caught.value


def app_of(factory: Callable[[RequestContext], Any], **options: Any) -> Musterd:
    return Musterd(agents=[AgentFactory("it", factory, **options), Agent(saying("fine"), name="other")])


def raising(error: BaseException) -> Callable[[RequestContext], Any]:
    def build(context: RequestContext) -> Any:
        raise error

    return build


def raising_later(error: BaseException) -> Callable[[RequestContext], Any]:
    async def build(context: RequestContext) -> Any:
        raise error

    return build


@pytest.mark.parametrize("make", [raising, raising_later], ids=["sync", "async"])
@pytest.mark.parametrize(
    ("error", "kind", "reason"),
    [
        (FactoryPermissionError("gold customers only"), PermissionDeniedError, "FACTORY_PERMISSION_DENIED"),
        (FactoryValidationError("no such region: mars"), InvalidArgumentError, "FACTORY_INVALID_INPUT"),
    ],
)
async def test_a_factory_that_refuses_is_quoted(
    make: Callable[[BaseException], Any], error: Exception, kind: type[CallError], reason: str
) -> None:
    """C7 (refusal)."""
    async with serve(app_of(make(error))) as client:
        refused = await refusal(client)
    assert isinstance(refused, kind)
    assert (refused.domain, refused.reason, refused.message) == ("musterd", reason, str(error))


@pytest.mark.parametrize("make", [raising, raising_later], ids=["sync", "async"])
@pytest.mark.parametrize(
    "error",
    [
        RuntimeError(SECRET_WORDS),
        TimeoutError(SECRET_WORDS),
        PermissionError(SECRET_WORDS),
        StopIteration(SECRET_WORDS),
        SystemExit(SECRET_WORDS),
    ],
    ids=lambda error: type(error).__name__,
)
async def test_a_factory_that_fails_is_not_quoted_but_in_the_log(
    make: Callable[[BaseException], Any], error: BaseException
) -> None:
    """C7 (refusal): the caller gets the id of the entry."""
    with capture_logs() as logs:
        async with serve(app_of(make(error))) as client:
            refused = await refusal(client)
            assert (await client.run_agent("other", "go").result()).output.text == "fine"
    assert isinstance(refused, ServerFailedError)
    assert refused.reason == "FACTORY_FAILED"
    assert SECRET_WORDS not in f"{refused} {refused.metadata}"
    (entry,) = [entry for entry in logs if entry.get("error_id") == refused.metadata["error_id"]]
    assert refused.metadata["error_id"] in refused.message
    assert SECRET_WORDS in entry["exception"]
    assert entry["component"] == "it"


@pytest.mark.parametrize(
    "made",
    [None, "an agent", Agent, Prototype(Agent(saying("x"), name="x")), Built("an agent"), Built(None)],  # pyright: ignore[reportArgumentType] - what is wrong is tested
    ids=["nothing", "a text", "a class", "a prototype", "a text, built", "nothing, built"],
)
async def test_a_result_of_the_wrong_type_is_told_to_the_log_alone(made: Any) -> None:
    """C4 (refusal)."""
    with capture_logs() as logs:
        async with serve(app_of(lambda _: made)) as client:
            refused = await refusal(client)
    assert (type(refused), refused.reason) == (ServerFailedError, "FACTORY_FAILED")
    assert "Agent" not in refused.message
    (entry,) = [entry for entry in logs if entry.get("error_id") == refused.metadata["error_id"]]
    wrong = made.component if isinstance(made, Built) else made
    assert (
        f"the factory 'it' must return an Agent (or Built), but returned {type(wrong).__name__}" in entry["exception"]
    )


async def test_a_sync_factory_that_takes_too_long_is_not_waited_for() -> None:
    """C3 (refusal)."""
    release = threading.Event()

    def build(context: RequestContext) -> Agent:
        release.wait(30)
        return Agent(saying("too late"))

    async with serve(app_of(build, timeout_seconds=0.05)) as client:
        refused = await refusal(client)
        assert (await client.run_agent("other", "go").result()).output.text == "fine"
        release.set()
    assert isinstance(refused, DeadlineExceededError)
    assert (refused.reason, refused.message) == ("FACTORY_TIMEOUT", "building 'it' took longer than 0.05 s")


async def test_an_async_factory_that_takes_too_long_is_stopped() -> None:
    """C3 (refusal)."""
    stopped = asyncio.Event()

    async def build(context: RequestContext) -> Agent:
        try:
            await asyncio.get_running_loop().create_future()
        finally:
            stopped.set()
        return Agent(saying("never"))

    async with serve(app_of(build, timeout_seconds=0.05)) as client:
        refused = await refusal(client)
        await stopped.wait()
    assert refused.reason == "FACTORY_TIMEOUT"


async def test_the_server_bounds_the_time_of_factories_that_set_none() -> None:
    """C3 (refusal)."""

    async def build(context: RequestContext) -> Agent:
        await asyncio.get_running_loop().create_future()
        return Agent(saying("never"))

    async with serve(app_of(build), runtime={"factory_timeout_seconds": 0.1}) as client:
        assert (await refusal(client)).message == "building 'it' took longer than 0.1 s"


async def test_a_refused_run_leaves_its_request_id_to_the_next_call() -> None:
    """C7, R8."""
    is_open = False

    def build(context: RequestContext) -> Agent:
        if not is_open:
            raise FactoryPermissionError("closed")
        return Agent(saying("welcome"))

    async with serve(app_of(build)) as client:
        with pytest.raises(PermissionDeniedError):
            await client.run_agent("it", "go", request_id="r-1").result()
        is_open = True
        assert (await client.run_agent("it", "go", request_id="r-1").result()).output.text == "welcome"


async def test_a_long_refusal_is_cut_and_still_arrives() -> None:
    """C7: clients drop a status whose trailers are larger than 8 KiB."""
    async with serve(app_of(raising(FactoryPermissionError("nein " * 10_000)))) as client:
        refused = await refusal(client)
    assert isinstance(refused, PermissionDeniedError)
    assert refused.message.startswith("nein nein")
    assert refused.message.endswith("…")
    assert sys.getsizeof(refused.message) < 8_192


async def test_a_refusal_may_be_in_any_language() -> None:
    """C7."""
    words = "只限金卡客户 · désolé ☃"
    async with serve(app_of(raising(FactoryPermissionError(words)))) as client:
        assert (await refusal(client)).message == words
