"""Decisions about approvals."""

import asyncio
from dataclasses import replace

import pytest
from tests.contract.approving import CARL, approve, ask_for, ask_one, deny, give, make_new, refusal, resolve, state_of
from tests.contract.canceling import end_canceled
from tests.contract.claiming import EXPIRED, RENEWED
from tests.contract.incarnations import Restart
from tests.contract.questioning import ask, reply
from tests.contract.values import (
    ADMIN,
    ANNA,
    ANNA_ELSEWHERE,
    BERT,
    HARD,
    LATER_OWNER,
    claim,
    make_child,
    make_identity,
    make_key,
    read_log,
    start,
)

from musterd.domain.approval_store import Resolution, Resolved
from musterd.domain.errors import MusterdError, Reason
from musterd.domain.event import ApprovalResolved, Event
from musterd.domain.full_store import FullStore
from musterd.domain.ids import new_id
from musterd.domain.task import ApprovalKind, ApprovalState, TaskState


class DecidingContract:
    """What `resolve` promises."""

    async def test_a_task_does_not_wait_for_what_is_decided(self, store: FullStore, restart: Restart) -> None:
        """N2, R3."""
        task = await start(store)
        new = make_new()
        await ask_for(store, task, new)
        store = await restart()
        (claimed,) = await claim(store, LATER_OWNER)
        assert (await resolve(store, task, deny())).task.state is TaskState.WORKING
        (again,) = await ask_for(store, claimed.task, new)
        assert again.state is ApprovalState.DENIED
        assert (await store.get_task(ANNA, task.task_id)).state is TaskState.WORKING
        assert await ask_for(store, claimed.task) == []

    @pytest.mark.parametrize(
        ("kind", "resolution", "state"),
        [
            (ApprovalKind.TOOL, approve(), ApprovalState.APPROVED),
            (ApprovalKind.TOOL, approve(arguments_json='{"path": "/b 🐝"}', reason="this one"), ApprovalState.APPROVED),
            (ApprovalKind.TOOL, deny(), ApprovalState.DENIED),
            (ApprovalKind.EXTERNAL, give(), ApprovalState.RESOLVED),
            (ApprovalKind.EXTERNAL, deny(), ApprovalState.DENIED),
            (ApprovalKind.REVIEW, approve(), ApprovalState.APPROVED),
            (ApprovalKind.REVIEW, deny(), ApprovalState.DENIED),
            (ApprovalKind.REVIEW, give(result_json="null"), ApprovalState.RESOLVED),
        ],
    )
    async def test_a_decision_lets_the_task_work_again(
        self,
        store: FullStore,
        committed: list[Event],
        kind: ApprovalKind,
        resolution: Resolution,
        state: ApprovalState,
    ) -> None:
        """N2."""
        task = await start(store)
        approval = await ask_one(store, task, kind)
        resolved = await resolve(store, task, replace(resolution, approval_id=approval.approval_id))
        assert resolved.decided_task_ids == (task.task_id,)
        assert (resolved.task.state, resolved.task.approvals) == (TaskState.WORKING, ())
        assert await store.get_task(ANNA, task.task_id) == resolved.task
        assert committed[-1].payload == ApprovalResolved(
            approval_id=approval.approval_id,
            state=state,
            reason=resolution.reason,
            arguments_json=resolution.arguments_json,
            result_json=resolution.result_json,
            user_id="anna",
        )
        assert await store.get_approvals([approval.approval_id]) == [
            replace(
                approval,
                state=state,
                reason=resolution.reason,
                new_arguments_json=resolution.arguments_json,
                result_json=resolution.result_json,
                decided_by="anna",
            )
        ]

    async def test_a_task_waits_until_all_are_decided(self, store: FullStore, committed: list[Event]) -> None:
        """N2: decisions may come bit by bit, and several at once."""
        task = await start(store)
        first, second, third = await ask_for(store, task, make_new(), make_new(), make_new(ApprovalKind.EXTERNAL))
        still = (await resolve(store, task, deny(second.approval_id))).task
        assert (still.state, still.approvals) == (TaskState.INPUT_REQUIRED, (first, third))
        done = await resolve(store, task, give(third.approval_id), approve(first.approval_id))
        assert done.task.state is TaskState.WORKING
        told = [event.payload for event in committed if isinstance(event.payload, ApprovalResolved)]
        assert [one.approval_id for one in told] == [
            second.approval_id,
            third.approval_id,
            first.approval_id,
        ]

    async def test_a_task_waits_for_answers_and_approvals(self, store: FullStore) -> None:
        """N2, R7: for all of them, whichever comes last."""
        for approvals_first in (True, False):
            task = await start(store)
            await ask(store, task)
            await ask_one(store, task)
            waiting = (await resolve(store, task, approve())).task if approvals_first else await reply(store, task)
            assert waiting.state is TaskState.INPUT_REQUIRED
            done = await reply(store, task) if approvals_first else (await resolve(store, task, approve())).task
            assert done.state is TaskState.WORKING

    async def test_a_decision_without_an_id_needs_exactly_one_open_approval(self, store: FullStore) -> None:
        """N2."""
        task = await start(store)
        none_open = await refusal(store, task, approve())
        assert (none_open.reason, none_open.metadata) == (
            Reason.TASK_NOT_WAITING,
            {"task_id": task.task_id, "state": "working"},
        )
        asked = [await ask_one(store, task) for _ in range(2)]
        several_open = await refusal(store, task, approve())
        assert several_open.reason is Reason.INVALID_ARGUMENT
        assert several_open.violations[0].path == "resolutions[0].approval_id"
        assert all(approval.approval_id in several_open.message for approval in asked)
        await resolve(store, task, approve(asked[0].approval_id))
        assert (await resolve(store, task, deny())).task.state is TaskState.WORKING
        assert await state_of(store, asked[1]) is ApprovalState.DENIED

    async def test_decisions_are_all_or_none(self, store: FullStore) -> None:
        """N2."""
        task, other = await start(store), await start(store)
        child = await start(store, make_child(task))
        own, below = await ask_one(store, task), await ask_one(store, child)
        elsewhere = await ask_one(store, other)
        for bad in (deny(elsewhere.approval_id), deny(new_id()), give(below.approval_id), deny("\x00")):
            await refusal(store, task, approve(own.approval_id), bad)
        assert [await state_of(store, one) for one in (own, below, elsewhere)] == [ApprovalState.OPEN] * 3
        done = await resolve(store, task, approve(own.approval_id), deny(below.approval_id))
        assert done.decided_task_ids == (task.task_id, child.task_id)
        assert await resolve(store, task) == Resolved(task=done.task, decided_task_ids=())

    @pytest.mark.parametrize("approval_id", ["01900000-0000-7000-8000-000000000000", "", "\x00", "no id"])
    async def test_an_approval_that_is_not_there_is_named(self, store: FullStore, approval_id: str) -> None:
        """N2: one of another task looks the same."""
        task, other = await start(store), await start(store)
        approval_id = approval_id or (await ask_one(store, other)).approval_id
        await ask_one(store, task)
        unknown = await refusal(store, task, approve(approval_id))
        assert (unknown.reason, unknown.metadata) == (
            Reason.APPROVAL_NOT_FOUND,
            {"task_id": task.task_id, "approval_id": approval_id},
        )

    async def test_approvals_are_decided_from_above_and_not_from_below_or_beside(self, store: FullStore) -> None:
        """N2, S9."""
        root = await start(store)
        parent = await start(store, make_child(root))
        child, sibling = await start(store, make_child(parent)), await start(store, make_child(root))
        at_root, below, beside = [await ask_one(store, task) for task in (root, child, sibling)]
        for approval in (at_root, beside):
            for task in (parent, child):
                assert (await refusal(store, task, approve(approval.approval_id))).reason is Reason.APPROVAL_NOT_FOUND
        done = await resolve(store, parent, approve())
        assert (done.task.task_id, done.decided_task_ids) == (parent.task_id, (child.task_id,))
        assert await state_of(store, below) is ApprovalState.APPROVED
        ids = [at_root.approval_id, beside.approval_id]
        assert (await resolve(store, root, *map(deny, ids))).decided_task_ids == (root.task_id, sibling.task_id)
        log = await store.read_events(root.task_id, 0, 100)
        told = [event.task_id for event in log.events if isinstance(event.payload, ApprovalResolved)]
        assert told == [child.task_id, root.task_id, sibling.task_id]

    @pytest.mark.parametrize(
        ("kind", "resolution"),
        [
            (ApprovalKind.TOOL, give()),
            (ApprovalKind.EXTERNAL, approve()),
        ],
    )
    async def test_a_verdict_must_fit_the_kind(
        self, store: FullStore, kind: ApprovalKind, resolution: Resolution
    ) -> None:
        """N2."""
        task = await start(store)
        await ask_one(store, task, kind)
        unfit = await refusal(store, task, resolution)
        assert unfit.reason is Reason.INVALID_ARGUMENT
        assert unfit.violations[0].path == "resolutions[0].verdict"

    @pytest.mark.parametrize(
        ("kind", "resolution", "path"),
        [
            (ApprovalKind.TOOL, approve(arguments_json="[1]"), "arguments_json"),
            (ApprovalKind.TOOL, approve(arguments_json="{'a': 1}"), "arguments_json"),
            (ApprovalKind.TOOL, approve(arguments_json='{"a": NaN}'), "arguments_json"),
            (ApprovalKind.TOOL, approve(arguments_json='{"a": "\\ud800"}'), "arguments_json"),
            (ApprovalKind.TOOL, replace(deny(), arguments_json="{}"), "arguments_json"),
            (ApprovalKind.TOOL, replace(approve(), result_json="1"), "result_json"),
            (ApprovalKind.EXTERNAL, give(result_json=""), "result_json"),
            (ApprovalKind.EXTERNAL, give(result_json="yes"), "result_json"),
            (ApprovalKind.EXTERNAL, give(result_json="[" * 100_000), "result_json"),
        ],
    )
    async def test_arguments_and_results_must_be_json(
        self, store: FullStore, kind: ApprovalKind, resolution: Resolution, path: str
    ) -> None:
        """N2."""
        task = await start(store)
        approval = await ask_one(store, task, kind)
        malformed = await refusal(store, task, resolution)
        assert malformed.reason is Reason.INVALID_ARGUMENT
        assert malformed.violations[0].path == f"resolutions[0].{path}"
        assert await state_of(store, approval) is ApprovalState.OPEN

    async def test_the_same_decision_again_changes_nothing(self, store: FullStore) -> None:
        """N2: whoever says it again."""
        task = await start(store)
        approval = await ask_one(store, task)
        decision = approve(approval.approval_id, arguments_json="{}", reason="fine")
        done = await resolve(store, task, decision, decision)
        log = await read_log(store, task)
        for viewer in (ANNA, replace(CARL, user_id=None)):
            assert await resolve(store, task, decision, viewer=viewer) == Resolved(task=done.task, decided_task_ids=())
        assert await read_log(store, task) == log
        assert sum(isinstance(payload, ApprovalResolved) for payload in log) == 1
        assert (await store.get_approvals([approval.approval_id]))[0].decided_by == "anna"

    async def test_another_decision_is_a_conflict(self, store: FullStore) -> None:
        """N2 (refusal)."""
        task = await start(store)
        approval_id = (await ask_one(store, task)).approval_id
        both = await refusal(store, task, approve(approval_id), deny(approval_id))
        assert both.reason is Reason.APPROVAL_CONFLICT
        await resolve(store, task, deny(approval_id))
        for other in (approve(approval_id), deny(approval_id, reason="for another reason")):
            conflict = await refusal(store, task, other)
            assert (conflict.reason, conflict.metadata) == (
                Reason.APPROVAL_CONFLICT,
                {"task_id": task.task_id, "approval_id": approval_id, "state": "denied"},
            )

    async def test_one_of_many_decisions_at_once_counts(self, store: FullStore) -> None:
        """N2."""
        task = await start(store)
        approval = await ask_one(store, task)
        calls = [resolve(store, task, deny(approval.approval_id, reason=f"{number}")) for number in range(10)]
        results = await asyncio.gather(*calls, return_exceptions=True)
        assert sum(isinstance(result, Resolved) for result in results) == 1
        assert sum(isinstance(payload, ApprovalResolved) for payload in await read_log(store, task)) == 1

    async def test_a_repeated_call_gets_the_first_outcome(self, store: FullStore) -> None:
        """R8, N2: nothing else is decided, though something else is open by then."""
        task = await start(store)
        await ask_one(store, task)
        key = make_key("r1", method="ResolveTask")
        await resolve(store, task, approve(), request=key)
        later = await ask_one(store, task)
        again = await resolve(store, task, approve(), request=key)
        assert (again.task.state, again.decided_task_ids) == (TaskState.INPUT_REQUIRED, ())
        assert await state_of(store, later) is ApprovalState.OPEN
        changed = make_key("r1", method="ResolveTask", body="another body")
        with pytest.raises(MusterdError) as refused:
            await resolve(store, task, deny(), request=changed)
        assert refused.value.reason is Reason.REQUEST_ID_REUSED

    async def test_an_approval_that_nobody_decides_expires(self, store: FullStore, committed: list[Event]) -> None:
        """N2."""
        task = await start(store)
        late, later = await ask_one(store, task, seconds=0.0), await ask_one(store, task)
        conflict = await refusal(store, task, approve(late.approval_id))
        assert (conflict.reason, conflict.metadata["state"]) == (Reason.APPROVAL_CONFLICT, "expired")
        expired = replace(late, state=ApprovalState.EXPIRED)
        assert await store.expire_approvals(task.task_id, 1) == [expired]
        assert committed[-1].payload == ApprovalResolved(approval_id=late.approval_id, state=ApprovalState.EXPIRED)
        assert await store.get_approvals([late.approval_id]) == [expired]
        waiting = await store.get_task(ANNA, task.task_id)
        assert (waiting.state, waiting.approvals) == (TaskState.INPUT_REQUIRED, (later,))
        told = len(committed)
        assert await store.expire_approvals(task.task_id, 1) == []
        assert len(committed) == told
        assert (await refusal(store, task, deny(late.approval_id))).reason is Reason.APPROVAL_CONFLICT

    async def test_a_decision_changes_no_state_but_that_of_waiting(self, store: FullStore) -> None:
        """R5, I7: a task that is being canceled, or that waits for its owner, stays so."""
        canceled, parked = await start(store), await start(store)
        for task in (canceled, parked):
            await ask_one(store, task)
        await store.request_cancel(ANNA, canceled.task_id, HARD, None)
        await store.park_for_identity(parked.task_id, 1, EXPIRED)
        assert (await resolve(store, canceled, approve())).task.state is TaskState.CANCELING
        assert (await resolve(store, parked, approve())).task.state is TaskState.AUTH_REQUIRED
        late = await ask_one(store, canceled)
        assert (await store.get_task(ANNA, canceled.task_id)).state is TaskState.CANCELING
        await store.write([end_canceled(canceled)])
        assert await state_of(store, late) is ApprovalState.EXPIRED
        await store.renew_identity(ANNA, parked.task_id, make_identity(), RENEWED, None)
        assert len(await claim(store)) == 1

    async def test_strangers_cannot_decide(self, store: FullStore) -> None:
        """I5: administrators and approvers of the tenant can."""
        task = await start(store)
        approvals = [await ask_one(store, task) for _ in range(2)]
        elsewhere = replace(ANNA_ELSEWHERE, approver_id="anna")
        for stranger in (BERT, ANNA_ELSEWHERE, elsewhere):
            assert (await refusal(store, task, approve(), viewer=stranger)).reason is Reason.TASK_NOT_FOUND
        for viewer, approval in zip((ADMIN, CARL), approvals, strict=True):
            await resolve(store, task, approve(approval.approval_id), viewer=viewer)
        decided = await store.get_approvals([approval.approval_id for approval in approvals])
        assert [approval.decided_by for approval in decided] == ["", "carl"]
