"""Approvals of running tasks: asked for, found again, expired."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta

import pytest
from tests.contract.incarnations import Restart
from tests.contract.values import (
    ANNA,
    LATER_OWNER,
    claim,
    complete,
    make_child,
    read_log,
    start,
)

from musterd.domain.approval_store import NewApproval, Resolution, Resolved, Verdict
from musterd.domain.errors import MusterdError, Reason
from musterd.domain.event import ApprovalRequested, ApprovalResolved, Event, TaskCompleted
from musterd.domain.full_store import FullStore
from musterd.domain.ids import new_id
from musterd.domain.ports import Lost, RequestKey
from musterd.domain.principal import Viewer
from musterd.domain.task import Approval, ApprovalKind, ApprovalState, Task, TaskState

ARGUMENTS = '{"path": "/a\\u0000 🐝"}'
CARL = Viewer(tenant_id="acme", user_id="carl", approver_id="carl")


def make_new(kind: ApprovalKind = ApprovalKind.TOOL, name: str = "delete_file") -> NewApproval:
    """Return what a task asks to be allowed."""
    return NewApproval(
        approval_id=new_id(),
        kind=kind,
        step=2,
        tool_call_id="call \x00 1",
        tool_name=name,
        arguments_json=ARGUMENTS,
        text='May "it"? \x00 🐝',
    )


async def ask_for(store: FullStore, task: Task, *new: NewApproval, seconds: float = 300.0) -> Sequence[Approval]:
    """Let a task ask for approvals, and return them."""
    asked = await store.request_approvals(task.task_id, task.attempt, new, seconds=seconds)
    assert not isinstance(asked, Lost)
    return asked


async def ask_one(
    store: FullStore, task: Task, kind: ApprovalKind = ApprovalKind.TOOL, *, seconds: float = 300.0
) -> Approval:
    """Let a task ask for one approval, and return it."""
    (approval,) = await ask_for(store, task, make_new(kind), seconds=seconds)
    return approval


def approve(approval_id: str = "", *, arguments_json: str = "", reason: str = "") -> Resolution:
    """Return the decision that something may happen."""
    return Resolution(approval_id=approval_id, verdict=Verdict.APPROVE, arguments_json=arguments_json, reason=reason)


def deny(approval_id: str = "", reason: str = "too risky") -> Resolution:
    """Return the decision that something may not happen."""
    return Resolution(approval_id=approval_id, verdict=Verdict.DENY, reason=reason)


def give(approval_id: str = "", result_json: str = '{"sum": 3}') -> Resolution:
    """Return what came of something that somebody else did."""
    return Resolution(approval_id=approval_id, verdict=Verdict.RESULT, result_json=result_json)


async def resolve(
    store: FullStore,
    task: Task,
    *resolutions: Resolution,
    viewer: Viewer = ANNA,
    request: RequestKey | None = None,
) -> Resolved:
    """Decide about approvals, as the task's owner by default."""
    return await store.resolve(viewer, task.task_id, resolutions, user_id=viewer.user_id or "", request=request)


async def refusal(store: FullStore, task: Task, *resolutions: Resolution, viewer: Viewer = ANNA) -> MusterdError:
    """Return why a decision is refused, having checked that it changed nothing."""
    log = await read_log(store, task)
    with pytest.raises(MusterdError) as refused:
        await resolve(store, task, *resolutions, viewer=viewer)
    assert await read_log(store, task) == log
    return refused.value


async def state_of(store: FullStore, approval: Approval) -> ApprovalState:
    """Return what became of an approval."""
    (found,) = await store.get_approvals([approval.approval_id])
    return found.state


class ApprovingContract:
    """What `request_approvals`, `get_approvals` and `expire_approvals` promise."""

    async def test_a_task_that_needs_approvals_waits_for_input(
        self, store: FullStore, committed: list[Event], restart: Restart
    ) -> None:
        """N2."""
        task = await start(store)
        new = [make_new(kind) for kind in ApprovalKind]
        asked = await ask_for(store, task, *new)
        for one, approval in zip(new, asked, strict=True):
            assert approval == Approval(
                approval_id=one.approval_id,
                task_id=task.task_id,
                kind=one.kind,
                step=2,
                tool_call_id=one.tool_call_id,
                tool_name="delete_file",
                arguments_json=ARGUMENTS,
                text=one.text,
                create_time=approval.create_time,
                expire_time=approval.create_time + timedelta(seconds=300),
            )
        assert committed[-3].payload == ApprovalRequested(
            approval_id=new[0].approval_id,
            kind=ApprovalKind.TOOL,
            step=2,
            tool_call_id=new[0].tool_call_id,
            tool_name="delete_file",
            arguments_json=ARGUMENTS,
            text=new[0].text,
            expire_time=asked[0].expire_time,
        )
        assert [event.task_id for event in committed[-3:]] == [task.task_id] * 3
        waiting = await store.get_task(ANNA, task.task_id)
        assert (waiting.state, waiting.approvals) == (TaskState.INPUT_REQUIRED, tuple(asked))
        ids = [approval.approval_id for approval in asked]
        store = await restart()
        assert await store.get_approvals(ids[::-1]) == asked[::-1]

    async def test_approvals_that_were_asked_for_before_stay_as_they_are(
        self, store: FullStore, restart: Restart
    ) -> None:
        """N2, R3: only what is new is told."""
        task = await start(store)
        new = [make_new() for _ in range(3)]
        first, second = await ask_for(store, task, *new[:2])
        await resolve(store, task, approve(first.approval_id, reason="fine"))
        store = await restart()
        (claimed,) = await claim(store, LATER_OWNER)
        assert (claimed.task.state, claimed.task.approvals) == (TaskState.WORKING, (second,))
        again = await ask_for(store, claimed.task, new[2], *new[:2])
        assert again[1:] == [
            replace(first, state=ApprovalState.APPROVED, reason="fine", decided_by="anna"),
            second,
        ]
        assert (await store.get_task(ANNA, task.task_id)).state is TaskState.INPUT_REQUIRED
        assert sum(isinstance(payload, ApprovalRequested) for payload in await read_log(store, task)) == 3

    async def test_the_same_approval_twice_in_a_call_is_one(self, store: FullStore) -> None:
        """N2."""
        task, new = await start(store), make_new()
        one, other = await ask_for(store, task, new, new)
        assert one == other
        assert (await store.get_task(ANNA, task.task_id)).approvals == (one,)

    async def test_a_root_shows_the_approvals_of_its_whole_tree(self, store: FullStore) -> None:
        """N2."""
        root = await start(store)
        parent = await start(store, make_child(root))
        child = await start(store, make_child(parent))
        below, own = await ask_one(store, child), await ask_one(store, root)
        tasks = await store.get_tasks(ANNA, [task.task_id for task in (root, parent, child)])
        assert [task.approvals for task in tasks] == [(below, own), (), (below,)]
        by_id = {task.task_id: task.approvals for task in await store.get_descendants(root.task_id)}
        assert by_id == {parent.task_id: (), child.task_id: (below,)}
        await resolve(store, root, approve(own.approval_id))
        working = await store.get_task(ANNA, root.task_id)
        assert (working.state, working.approvals) == (TaskState.WORKING, (below,))

    async def test_a_task_whose_last_approval_expires_works_again(self, store: FullStore) -> None:
        """N2."""
        task = await start(store)
        await ask_one(store, task, seconds=0.0)
        await store.expire_approvals(task.task_id, 1)
        assert (await store.get_task(ANNA, task.task_id)).state is TaskState.WORKING

    async def test_only_who_runs_a_task_asks_and_gives_up(self, store: FullStore, restart: Restart) -> None:
        """R11, N2."""
        task = await start(store)
        approval = await ask_one(store, task, seconds=0.0)
        store = await restart()
        await claim(store, LATER_OWNER)
        for task_id in (task.task_id, new_id()):
            assert await store.request_approvals(task_id, 1, [make_new()], seconds=1.0) == Lost()
            assert await store.expire_approvals(task_id, 1) == Lost()
        assert await state_of(store, approval) is ApprovalState.OPEN

    async def test_approvals_of_a_task_that_ends_expire(self, store: FullStore) -> None:
        """N2: which is told before its end. Those of what goes on stay."""
        root = await start(store)
        child = await start(store, make_child(root))
        decided, opened = await ask_one(store, root), await ask_one(store, root)
        below = await ask_one(store, child)
        await resolve(store, root, approve(decided.approval_id))
        await store.write([complete(root)])
        assert [await state_of(store, one) for one in (decided, opened, below)] == [
            ApprovalState.APPROVED,
            ApprovalState.EXPIRED,
            ApprovalState.OPEN,
        ]
        *_, told, end = await read_log(store, root)
        assert told == ApprovalResolved(approval_id=opened.approval_id, state=ApprovalState.EXPIRED)
        assert isinstance(end, TaskCompleted)
        assert (await refusal(store, root, approve(opened.approval_id))).reason is Reason.APPROVAL_CONFLICT
        assert (await store.get_task(ANNA, root.task_id)).approvals == (below,)
        assert (await resolve(store, root, approve())).decided_task_ids == (child.task_id,)
        assert await store.request_approvals(root.task_id, 1, [make_new()], seconds=1.0) == Lost()

    async def test_an_approval_that_is_not_there_is_a_lookup_error(self, store: FullStore) -> None:
        """N2."""
        task = await start(store)
        approval = await ask_one(store, task)
        with pytest.raises(LookupError):
            await store.get_approvals([approval.approval_id, new_id()])
        assert await store.get_approvals([]) == []
