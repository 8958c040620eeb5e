"""What the codec makes of approvals, and of decisions about them."""

from datetime import UTC, datetime
from typing import Any

import pytest
from google.protobuf.timestamp_pb2 import Timestamp

from musterd.domain.approval_store import Resolution, Verdict
from musterd.domain.errors import MusterdError, Reason
from musterd.domain.task import Approval, ApprovalKind, ComponentKind, ComponentRef, Task, TaskState
from musterd.transport.codec import requests
from musterd.transport.codec.resolutions import (
    MAX_RESOLUTION_DEPTH,
    MAX_RESOLUTION_REASON_CHARS,
    MAX_RESOLUTIONS,
    resolutions,
)
from musterd.transport.codec.tasks import encode_task
from musterd_client.v1 import task_pb2
from musterd_client.v1 import task_service_pb2 as pb2

MOMENT = datetime(2026, 1, 2, 3, 4, 5, 678_901, tzinfo=UTC)
WIRE_MOMENT = Timestamp(seconds=1_767_323_045, nanos=678_901_000)


def approve(**fields: Any) -> pb2.Resolution:
    return pb2.Resolution(verdict=pb2.VERDICT_APPROVE, **fields)


def give(result_json: str) -> pb2.Resolution:
    return pb2.Resolution(verdict=pb2.VERDICT_RESULT, result_json=result_json)


def nested(depth: int) -> str:
    return "[" * depth + "]" * depth


def test_open_approvals_are_sent_with_their_task() -> None:
    """N2: a root tells those of all below it."""
    approval = Approval(
        approval_id="a-1",
        task_id="child",
        kind=ApprovalKind.REVIEW,
        step=2,
        tool_call_id="c-1",
        tool_name="draft",
        arguments_json='"a poem"',
        text="good?",
        create_time=MOMENT,
        expire_time=MOMENT,
    )
    task = Task(
        task_id="root",
        root_task_id="root",
        component=ComponentRef(kind=ComponentKind.WORKFLOW, id="poems"),
        state=TaskState.INPUT_REQUIRED,
        tenant_id="acme",
        user_id="ada",
        create_time=MOMENT,
        update_time=MOMENT,
        approvals=(approval,),
    )
    assert list(encode_task(task).approvals) == [
        task_pb2.Approval(
            approval_id="a-1",
            task_id="child",
            kind=task_pb2.APPROVAL_KIND_REVIEW,
            state=task_pb2.APPROVAL_STATE_OPEN,
            step=2,
            tool_call_id="c-1",
            tool_name="draft",
            arguments_json='"a poem"',
            text="good?",
            create_time=WIRE_MOMENT,
            expire_time=WIRE_MOMENT,
        )
    ]


def test_decisions_are_taken_in_their_order() -> None:
    """N2."""
    decided = resolutions(
        [
            approve(approval_id="a-1", arguments_json='{"n": 1}', reason="less"),
            pb2.Resolution(approval_id="a-2", verdict=pb2.VERDICT_DENY),
            pb2.Resolution(verdict=pb2.VERDICT_RESULT, result_json="null"),
        ]
    )
    assert decided == (
        Resolution(approval_id="a-1", verdict=Verdict.APPROVE, reason="less", arguments_json='{"n": 1}'),
        Resolution(approval_id="a-2", verdict=Verdict.DENY),
        Resolution(approval_id="", verdict=Verdict.RESULT, result_json="null"),
    )


def test_decisions_go_up_to_their_limits() -> None:
    """N2."""
    long_id, long_reason = "a" * requests.MAX_ID_CHARS, "ß" * MAX_RESOLUTION_REASON_CHARS
    most = [approve(approval_id=f"a-{number}") for number in range(MAX_RESOLUTIONS)]
    assert len(resolutions(most)) == MAX_RESOLUTIONS
    assert resolutions([approve(approval_id=long_id, reason=long_reason)])[0].reason == long_reason
    assert resolutions([give(nested(MAX_RESOLUTION_DEPTH))])[0].result_json == nested(MAX_RESOLUTION_DEPTH)


@pytest.mark.parametrize(
    ("messages", "path"),
    [
        ([], "resolutions"),
        ([approve(approval_id=f"a-{number}") for number in range(MAX_RESOLUTIONS + 1)], "resolutions"),
        ([approve(approval_id="a"), approve(approval_id="a")], "resolutions[1].approval_id"),
        ([approve(approval_id="a" * (requests.MAX_ID_CHARS + 1))], "resolutions[0].approval_id"),
        ([approve(reason="ß" * (MAX_RESOLUTION_REASON_CHARS + 1))], "resolutions[0].reason"),
        ([pb2.Resolution()], "resolutions[0].verdict"),
        ([pb2.Resolution.FromString(b"\x10\x63")], "resolutions[0].verdict"),
        ([approve(arguments_json="{")], "resolutions[0].arguments_json"),
        ([approve(arguments_json="[]")], "resolutions[0].arguments_json"),
        ([approve(arguments_json='{"n": NaN}')], "resolutions[0].arguments_json"),
        ([approve(arguments_json='{"n": 1e999}')], "resolutions[0].arguments_json"),
        ([approve(arguments_json="[" * 100_000)], "resolutions[0].arguments_json"),
        ([give(nested(MAX_RESOLUTION_DEPTH + 1))], "resolutions[0].result_json"),
        ([give('{"a": -1e999}')], "resolutions[0].result_json"),
        ([pb2.Resolution(verdict=pb2.VERDICT_DENY, arguments_json="{}")], "resolutions[0].arguments_json"),
        ([approve(result_json="1")], "resolutions[0].result_json"),
        ([pb2.Resolution(verdict=pb2.VERDICT_RESULT)], "resolutions[0].result_json"),
        ([pb2.Resolution(verdict=pb2.VERDICT_RESULT, result_json="Infinity")], "resolutions[0].result_json"),
    ],
)
def test_a_decision_that_is_none_is_refused_by_its_field(messages: list[pb2.Resolution], path: str) -> None:
    """N2."""
    with pytest.raises(MusterdError) as refused:
        resolutions(messages)
    assert refused.value.reason is Reason.INVALID_ARGUMENT
    assert [each.path for each in refused.value.violations] == [path]
