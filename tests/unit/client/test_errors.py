import copy
import pickle

import grpc
import pytest
from google.protobuf.any_pb2 import Any as AnyMessage
from google.protobuf.duration_pb2 import Duration
from google.rpc.error_details_pb2 import (  # pyright: ignore[reportMissingTypeStubs]
    BadRequest,
    ErrorInfo,
    PreconditionFailure,
    QuotaFailure,
    RetryInfo,
)
from google.rpc.status_pb2 import Status  # pyright: ignore[reportMissingTypeStubs]
from tests.unit.client.conftest import QUICK
from tests.unit.client.messages import TASK_ID, a_task
from tests.unit.client.scripted import Refusal, ScriptedServer

import musterd_client
from musterd_client import (
    CallError,
    InvalidArgumentError,
    MusterdClient,
    MusterdClientError,
    NotFoundError,
    PreconditionFailedError,
    ResourceExhaustedError,
    RetryPolicy,
    TaskCanceledError,
    TaskFailedError,
    UnavailableError,
    Violation,
)
from musterd_client.codec import task_from
from musterd_client.errors import call_error_from
from musterd_client.v1.server_service_pb2 import GetServerInfoResponse
from musterd_client.v1.task_pb2 import TaskError


async def refused(server: ScriptedServer, client: MusterdClient, refusal: Refusal) -> CallError:
    server.will("TaskStatus", refusal)
    with pytest.raises(MusterdClientError) as caught:
        await client.tasks.status(TASK_ID)
    assert isinstance(caught.value, CallError)
    return caught.value


async def test_a_refusal_carries_its_reason_and_metadata(server: ScriptedServer, client: MusterdClient) -> None:
    code = grpc.StatusCode.NOT_FOUND
    error = await refused(
        server, client, Refusal(code=code, reason="TASK_NOT_FOUND", message="no such task", metadata={"task_id": "x"})
    )

    assert isinstance(error, NotFoundError)
    assert (error.code, error.reason, error.domain) == (code, "TASK_NOT_FOUND", "musterd")
    assert (error.message, error.metadata) == ("no such task", {"task_id": "x"})
    assert str(error) == "TASK_NOT_FOUND: no such task"


async def test_a_malformed_request_names_each_field(server: ScriptedServer, client: MusterdClient) -> None:
    """C6."""
    fields = BadRequest(
        field_violations=[
            BadRequest.FieldViolation(field="factory_input.tier", reason="ENUM", description="must be gold"),
            BadRequest.FieldViolation(field="factory_input.seats", description="must be positive"),
        ]
    )
    error = await refused(
        server, client, Refusal(code=grpc.StatusCode.INVALID_ARGUMENT, reason="INVALID_INPUT", details=(fields,))
    )

    assert isinstance(error, InvalidArgumentError)
    assert error.violations == (
        Violation(path="factory_input.tier", rule="ENUM", message="must be gold"),
        Violation(path="factory_input.seats", message="must be positive"),
    )


async def test_an_exhausted_limit_says_which_and_when_to_try_again(
    server: ScriptedServer, client: MusterdClient
) -> None:
    """R9."""
    quota = QuotaFailure(violations=[QuotaFailure.Violation(subject="tasks_per_user", description="at most 4")])
    retry = RetryInfo(retry_delay=Duration(seconds=2, nanos=500_000_000))
    error = await refused(
        server,
        client,
        Refusal(code=grpc.StatusCode.RESOURCE_EXHAUSTED, reason="CAPACITY_EXHAUSTED", details=(quota, retry)),
    )

    assert isinstance(error, ResourceExhaustedError)
    assert error.retry_after_seconds == 2.5
    assert error.violations == (Violation(path="tasks_per_user", message="at most 4"),)


async def test_an_unmet_precondition_says_which(server: ScriptedServer, client: MusterdClient) -> None:
    unmet = PreconditionFailure(
        violations=[PreconditionFailure.Violation(type="STATE", subject=TASK_ID, description="is COMPLETED")]
    )
    error = await refused(
        server,
        client,
        Refusal(code=grpc.StatusCode.FAILED_PRECONDITION, reason="TASK_NOT_CANCELABLE", details=(unmet,)),
    )

    assert isinstance(error, PreconditionFailedError)
    assert error.violations == (Violation(path=TASK_ID, rule="STATE", message="is COMPLETED"),)


@pytest.mark.parametrize("code", [code for code in grpc.StatusCode if code is not grpc.StatusCode.OK])
async def test_errors_that_do_not_come_from_musterd_are_mapped_too(
    server: ScriptedServer, client: MusterdClient, code: grpc.StatusCode
) -> None:
    for _ in range(QUICK.call_attempts - 1):
        server.will("TaskStatus", Refusal(code=code))
    error = await refused(server, client, Refusal(code=code, message="by a proxy"))

    assert (error.code, error.reason, error.domain) == (code, "", "")
    assert str(error).startswith(f"{code.name}: ")


@pytest.mark.parametrize("details", [b"no status", Status(code=5, message="no such task").SerializeToString()])
def test_details_that_do_not_fit_the_status_are_left_out(details: bytes) -> None:
    trailers = grpc.aio.Metadata(("grpc-status-details-bin", details))
    cut = grpc.aio.AioRpcError(grpc.StatusCode.UNAVAILABLE, grpc.aio.Metadata(), trailers, "cut by a proxy")

    error = call_error_from(cut)

    assert isinstance(error, UnavailableError)
    assert (error.reason, error.message) == ("", "cut by a proxy")


def test_a_detail_that_cannot_be_read_is_left_out() -> None:
    known = AnyMessage()
    known.Pack(ErrorInfo(reason="TASK_NOT_FOUND", domain="musterd"))
    torn = AnyMessage(type_url="type.googleapis.com/google.rpc.RetryInfo", value=b"\xff")
    status = Status(code=5, message="no such task", details=[torn, known]).SerializeToString()
    trailers = grpc.aio.Metadata(("grpc-status-details-bin", status))

    error = call_error_from(
        grpc.aio.AioRpcError(grpc.StatusCode.NOT_FOUND, grpc.aio.Metadata(), trailers, "no such task")
    )

    assert (error.reason, error.retry_after_seconds) == ("TASK_NOT_FOUND", None)


TASK = task_from(a_task(state="TASK_STATE_FAILED", error=TaskError(reason="ERROR_REASON_MODEL_FAILED", message="no")))


@pytest.mark.parametrize(
    "error",
    [
        MusterdClientError("the stream was closed", reason="R"),
        NotFoundError(
            "no such task", code=grpc.StatusCode.NOT_FOUND, reason="TASK_NOT_FOUND", metadata={"task_id": "x"}
        ),
        InvalidArgumentError("no", code=grpc.StatusCode.INVALID_ARGUMENT, violations=(Violation(path="message"),)),
        TaskFailedError(TASK),
        TaskCanceledError(TASK, "enough"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_an_error_can_be_sent_to_another_process(error: MusterdClientError) -> None:
    for twin in (pickle.loads(pickle.dumps(error)), copy.copy(error)):  # noqa: S301 - it was made a moment ago
        assert type(twin) is type(error)
        assert (str(twin), vars(twin)) == (str(error), vars(error))


async def test_nothing_at_the_target_is_unavailable() -> None:
    async with MusterdClient("unix:/nowhere/grpc.sock", retry=QUICK) as lost:
        with pytest.raises(UnavailableError):
            await lost.health()
        with pytest.raises(UnavailableError):
            await lost.run_agent("greeter").start()


async def test_a_call_is_repeated_while_the_server_is_unavailable(
    server: ScriptedServer, client: MusterdClient
) -> None:
    server.will("GetServerInfo", Refusal())
    server.will("GetServerInfo", Refusal(reason="STORE_UNAVAILABLE"))
    server.will("GetServerInfo", GetServerInfoResponse(version="0.1.0", features=["agents"]))

    info = await client.server_info()
    assert (info.version, info.features, info.limits.max_run_timeout_seconds) == ("0.1.0", ("agents",), None)


async def test_a_call_that_a_server_dropped_as_it_ended_is_repeated(
    server: ScriptedServer, client: MusterdClient
) -> None:
    """R8."""
    server.will("GetServerInfo", Refusal(code=grpc.StatusCode.CANCELLED))
    server.will("GetServerInfo", GetServerInfoResponse(version="0.1.0"))

    assert (await client.server_info()).version == "0.1.0"


@pytest.mark.parametrize("failures", [1, 10, 10_000])
def test_the_pause_before_a_try_is_bounded_however_often_it_failed(failures: int) -> None:
    retry = RetryPolicy(initial_delay_seconds=1, max_delay_seconds=3)

    assert 0.5 <= retry.delay_seconds(failures, None) <= 3
    assert retry.delay_seconds(failures, 5) == 5


def test_every_error_is_caught_as_one() -> None:
    classes = [value for value in vars(musterd_client).values() if isinstance(value, type)]
    errors = [value for value in classes if issubclass(value, Exception)]
    assert errors
    assert all(issubclass(error, MusterdClientError) for error in errors)
