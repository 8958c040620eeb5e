"""Hooks that run after their task."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from tests.contract.children import make_subtask
from tests.contract.incarnations import Restart
from tests.contract.values import (
    ADMIN,
    ADMIN_ELSEWHERE,
    ANNA,
    ANNA_ELSEWHERE,
    BERT,
    LATER_OWNER,
    OWNER,
    complete,
    fail,
    make_key,
    make_root,
    make_spec,
    read_log,
    start,
    write_one,
)

from musterd.domain.errors import MusterdError, Reason
from musterd.domain.event import Event, HookCompleted, HookFailed, HookStarted, TaskCompleted
from musterd.domain.full_store import FullStore
from musterd.domain.hook_run import HookPhase, HookRunState, NewHookRun
from musterd.domain.hook_store import ClaimedHookRun, HookQuery, HookRun
from musterd.domain.ids import new_id
from musterd.domain.ports import Lost
from musterd.domain.principal import Viewer
from musterd.domain.task import Task, TaskState

PAYLOAD = '{"content":"\\u0000 🐝"}'.encode()
BROKEN = "it broke: \x00 🐝"


def make_hook_run(name: str = "audit", position: int = 0, phase: HookPhase = HookPhase.POST) -> NewHookRun:
    """Return a hook that is to run."""
    return NewHookRun(hook_run_id=new_id(), phase=phase, position=position, name=name, payload_json=PAYLOAD)


async def end_with(store: FullStore, *runs: NewHookRun, viewer: Viewer = ANNA) -> Task:
    """Return a task that has ended and left hooks to run."""
    task = await start(store, make_root(viewer))
    await write_one(store, replace(complete(task), hook_runs=runs))
    return task


async def claim_hooks(
    store: FullStore, owner: str = OWNER, *, running: Sequence[str] = (), limit: int = 10
) -> Sequence[ClaimedHookRun]:
    """Take hooks whose time has come."""
    return await store.claim_hook_runs(owner, limit, running)


async def listed(store: FullStore, viewer: Viewer = ANNA, *, limit: int = 100, **filters: Any) -> Sequence[HookRun]:
    """Return the hook runs that a viewer sees."""
    return await store.list_hook_runs(replace(HookQuery(viewer=viewer, limit=limit), **filters))


async def kill(store: FullStore, run: NewHookRun) -> None:
    """Let a hook that was not begun die of its first attempt."""
    (claimed,) = [one for one in await claim_hooks(store) if one.run.hook_run_id == run.hook_run_id]
    assert await store.finish_hook_run(run.hook_run_id, claimed.run.attempts, error=BROKEN, retry_seconds=None)


class HookingContract:
    """What `TaskWrite.hook_runs` and the port of hooks promise."""

    async def test_a_task_that_ends_leaves_its_hooks(self, store: FullStore, restart: Restart) -> None:
        """H4: in the transaction of its end."""
        runs = [make_hook_run("first \x00"), make_hook_run("second", 1), make_hook_run("early", phase=HookPhase.PRE)]
        task = await end_with(store, *runs)
        store = await restart()
        ended = await store.get_task(ANNA, task.task_id)
        assert ended.end_time is not None
        stored = {
            run.hook_run_id: HookRun(
                hook_run_id=run.hook_run_id,
                task_id=task.task_id,
                phase=run.phase,
                position=run.position,
                name=run.name,
                state=HookRunState.PENDING,
                attempts=0,
                create_time=ended.end_time,
                update_time=ended.end_time,
                next_attempt_time=ended.end_time,
            )
            for run in runs
        }
        assert {run.hook_run_id: run for run in await listed(store)} == stored
        assert await store.get_hook_run(ANNA, runs[0].hook_run_id) == stored[runs[0].hook_run_id]
        assert await store.next_hook_time() == ended.end_time

    async def test_a_write_that_has_no_effect_leaves_no_hook(self, store: FullStore) -> None:
        """H4, R11: nor does one that is repeated leave a second."""
        task = await start(store)
        write = replace(complete(task), hook_runs=(make_hook_run(),), number=1)
        await write_one(store, write)
        await write_one(store, write)
        late = replace(fail(task), hook_runs=(make_hook_run(),))
        assert await write_one(store, late) == Lost()
        assert len(await listed(store)) == 1

    async def test_a_claimed_hook_has_all_that_it_is_run_with(self, store: FullStore, committed: list[Event]) -> None:
        """H4."""
        runs = [make_hook_run("first"), make_hook_run("second", 1)]
        task = await end_with(store, *runs)
        claimed = await claim_hooks(store)
        assert [one.run.name for one in claimed] == ["first", "second"]
        assert [one.payload_json for one in claimed] == [PAYLOAD, PAYLOAD]
        assert [one.spec for one in claimed] == [make_spec(), make_spec()]
        assert claimed[1].task == await store.get_task(ANNA, task.task_id)
        assert claimed[0].task.state is TaskState.COMPLETED
        run = claimed[0].run
        assert (run.state, run.attempts, run.next_attempt_time) == (HookRunState.RUNNING, 1, None)
        assert await store.get_hook_run(ANNA, run.hook_run_id) == run
        assert [event.payload for event in committed][-2:] == [
            HookStarted(hook_run_id=run.hook_run_id, phase="post", name="first", in_background=True),
            HookStarted(hook_run_id=runs[1].hook_run_id, phase="post", name="second", in_background=True),
        ]
        assert await store.next_hook_time() is None

    async def test_what_is_claimed_is_not_claimed_again(self, store: FullStore) -> None:
        """H4: while its owner lives and runs it."""
        await end_with(store, make_hook_run(), make_hook_run("other", 1))
        (first,) = await claim_hooks(store, limit=1)
        (second,) = await claim_hooks(store, running=[first.run.hook_run_id])
        both = [first.run.hook_run_id, second.run.hook_run_id]
        assert len(set(both)) == 2
        assert list(await claim_hooks(store, running=both)) == []

    async def test_a_claim_whose_answer_was_lost_is_made_again(self, store: FullStore) -> None:
        """H4: the owner knows best what it runs."""
        await end_with(store, make_hook_run())
        await claim_hooks(store)
        (again,) = await claim_hooks(store, running=[new_id()])
        assert again.run.attempts == 2

    async def test_a_hook_whose_owner_is_dead_is_taken_over(self, store: FullStore, restart: Restart) -> None:
        """H4: the dead one can end it no more."""
        await end_with(store, make_hook_run())
        (first,) = await claim_hooks(store)
        store = await restart()
        (second,) = await claim_hooks(store, LATER_OWNER)
        hook_run_id = first.run.hook_run_id
        assert (second.run.hook_run_id, second.run.attempts) == (hook_run_id, 2)
        assert not await store.finish_hook_run(hook_run_id, 1, error=None, retry_seconds=None)
        assert await store.finish_hook_run(hook_run_id, 2, error=None, retry_seconds=None)
        assert not await store.finish_hook_run(hook_run_id, 2, error=BROKEN, retry_seconds=0.0)
        assert (await store.get_hook_run(ANNA, hook_run_id)).state is HookRunState.COMPLETED

    async def test_a_hook_that_ends_well_is_told_after_the_end_of_its_task(self, store: FullStore) -> None:
        """H2, H4."""
        run = make_hook_run()
        task = await end_with(store, run)
        await claim_hooks(store)
        assert await store.finish_hook_run(run.hook_run_id, 1, error=None, retry_seconds=None)
        log = await read_log(store, task)
        assert [type(payload) for payload in log][-3:] == [TaskCompleted, HookStarted, HookCompleted]
        done = await store.get_hook_run(ANNA, run.hook_run_id)
        assert (done.state, done.error, done.next_attempt_time) == (HookRunState.COMPLETED, "", None)
        assert list(await claim_hooks(store)) == []

    async def test_a_hook_that_fails_waits_for_its_time(self, store: FullStore, committed: list[Event]) -> None:
        """H4."""
        run = make_hook_run()
        await end_with(store, run)
        await claim_hooks(store)
        assert await store.finish_hook_run(run.hook_run_id, 1, error=BROKEN, retry_seconds=300.0)
        waiting = await store.get_hook_run(ANNA, run.hook_run_id)
        assert (waiting.state, waiting.attempts, waiting.error) == (HookRunState.PENDING, 1, BROKEN)
        assert waiting.next_attempt_time == waiting.update_time + timedelta(seconds=300)
        assert await store.next_hook_time() == waiting.next_attempt_time
        assert list(await claim_hooks(store)) == []
        assert committed[-1].payload == HookFailed(
            hook_run_id=run.hook_run_id,
            phase="post",
            name="audit",
            in_background=True,
            message=BROKEN,
            will_retry=True,
        )

    async def test_a_hook_whose_time_has_come_begins_again(self, store: FullStore, committed: list[Event]) -> None:
        """H4."""
        run = make_hook_run()
        await end_with(store, run)
        await claim_hooks(store)
        await store.finish_hook_run(run.hook_run_id, 1, error=BROKEN, retry_seconds=0.0)
        (again,) = await claim_hooks(store)
        assert (again.run.attempts, again.run.error) == (2, BROKEN)
        assert committed[-1].payload == HookStarted(
            hook_run_id=run.hook_run_id, phase="post", name="audit", in_background=True, attempt=2
        )

    async def test_a_dead_hook_stays_dead_until_it_is_retried(self, store: FullStore, committed: list[Event]) -> None:
        """H4."""
        run = make_hook_run()
        await end_with(store, run)
        await kill(store, run)
        failed = committed[-1].payload
        assert isinstance(failed, HookFailed)
        assert not failed.will_retry
        assert list(await claim_hooks(store)) == []
        assert await store.next_hook_time() is None
        again = await store.retry_hook_run(ANNA, run.hook_run_id, None)
        assert (again.state, again.attempts, again.error) == (HookRunState.PENDING, 0, BROKEN)
        assert again == await store.get_hook_run(ANNA, run.hook_run_id)
        (claimed,) = await claim_hooks(store)
        assert claimed.run.attempts == 1

    async def test_only_a_dead_hook_is_retried(self, store: FullStore) -> None:
        """H4 (refusal)."""
        run = make_hook_run()
        await end_with(store, run)
        for state in (HookRunState.PENDING, HookRunState.RUNNING):
            with pytest.raises(MusterdError) as refused:
                await store.retry_hook_run(ANNA, run.hook_run_id, None)
            assert refused.value.reason is Reason.HOOK_RUN_NOT_RETRYABLE
            assert refused.value.metadata == {"hook_run_id": run.hook_run_id, "state": state.value}
            await claim_hooks(store, running=[run.hook_run_id])

    async def test_a_repeated_retry_changes_nothing(self, store: FullStore) -> None:
        """R8."""
        run = make_hook_run()
        await end_with(store, run)
        await kill(store, run)
        key = make_key("r1", method="RetryHookRun")
        await store.retry_hook_run(ANNA, run.hook_run_id, key)
        await claim_hooks(store)
        again = await store.retry_hook_run(ANNA, run.hook_run_id, key)
        assert (again.state, again.attempts) == (HookRunState.RUNNING, 1)
        with pytest.raises(MusterdError) as refused:
            await store.retry_hook_run(
                ANNA, run.hook_run_id, make_key("r1", method="RetryHookRun", body="another body")
            )
        assert refused.value.reason is Reason.REQUEST_ID_REUSED

    async def test_hooks_are_seen_by_who_sees_their_task(self, store: FullStore) -> None:
        """I5."""
        run = make_hook_run()
        await end_with(store, run)
        await kill(store, run)
        for stranger in (BERT, ANNA_ELSEWHERE, ADMIN_ELSEWHERE):
            assert list(await listed(store, stranger)) == []
            for call in (
                store.get_hook_run(stranger, run.hook_run_id),
                store.retry_hook_run(stranger, run.hook_run_id, None),
            ):
                with pytest.raises(MusterdError) as refused:
                    await call
                assert refused.value.reason is Reason.HOOK_RUN_NOT_FOUND
        assert [one.hook_run_id for one in await listed(store, ADMIN)] == [run.hook_run_id]
        assert (await store.retry_hook_run(ADMIN, run.hook_run_id, None)).state is HookRunState.PENDING
        with pytest.raises(MusterdError) as missing:
            await store.get_hook_run(ADMIN, new_id())
        assert missing.value.reason is Reason.HOOK_RUN_NOT_FOUND

    @pytest.mark.parametrize("viewer", [ANNA, ADMIN])
    async def test_lists_are_filtered_and_paged(self, store: FullStore, viewer: Viewer) -> None:
        """H4."""
        tasks = [await end_with(store, make_hook_run(), make_hook_run("b", 1)) for _ in range(3)]
        await end_with(store, make_hook_run(), viewer=ANNA_ELSEWHERE)
        claimed = await claim_hooks(store)
        ids = [one.run.hook_run_id for one in claimed if one.task.tenant_id == ANNA.tenant_id]
        for hook_run_id, error, retry in ((ids[0], None, None), (ids[2], BROKEN, None), (ids[5], BROKEN, 60.0)):
            await store.finish_hook_run(hook_run_id, 1, error=error, retry_seconds=retry)
        whole = await listed(store, viewer)
        order = [(run.create_time, run.hook_run_id) for run in whole]
        assert order == sorted(order, reverse=True)
        assert {run.hook_run_id for run in whole} == set(ids)
        pages: list[HookRun] = []
        while page := await listed(store, viewer, limit=2, before=order[len(pages) - 1] if pages else None):
            pages += page
        assert pages == list(whole)

        async def found(**filters: Any) -> set[str]:
            return {run.hook_run_id for run in await listed(store, viewer, **filters)}

        assert await found(task_id=tasks[1].task_id) == set(ids[2:4])
        assert await found(states=frozenset((HookRunState.DEAD,))) == {ids[2]}
        assert await found(states=frozenset((HookRunState.COMPLETED, HookRunState.PENDING))) == {ids[0], ids[5]}
        assert await found(states=frozenset((HookRunState.RUNNING,)), task_id=tasks[1].task_id) == {ids[3]}
        assert await found(task_id=new_id()) == set()

    async def test_a_child_leaves_hooks_of_its_own(self, store: FullStore, committed: list[Event]) -> None:
        """H1, H4: told in the child's name, while the tree goes on."""
        root = await start(store)
        child = await start(store, make_subtask(root, owner=OWNER))
        await write_one(store, replace(complete(child), hook_runs=(make_hook_run(),)))
        (claimed,) = await claim_hooks(store)
        assert claimed.task.task_id == child.task_id
        assert claimed.spec.component == child.component
        assert committed[-1].task_id == child.task_id
        await write_one(store, complete(root))
        await store.finish_hook_run(claimed.run.hook_run_id, 1, error=None, retry_seconds=None)
        assert isinstance((await read_log(store, root))[-1], HookCompleted)
