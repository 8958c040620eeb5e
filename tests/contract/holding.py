"""Who holds what: leases, and what a process asks about its own tasks and about the logs that it follows."""

from tests.contract.values import (
    ANNA,
    HARD,
    LATER_OWNER,
    OWNER,
    SOFT,
    claim,
    complete,
    make_child,
    make_deltas,
    make_root,
    make_steer,
    say,
    start,
)

from musterd.domain.ids import new_id
from musterd.domain.ports import Store, TaskWrite


class HoldingContract:
    """What the leases, `find_held`, `find_orders` and `get_last_sequences` promise."""

    async def test_a_lease_that_was_given_can_be_renewed(self, store: Store) -> None:
        """R11."""
        await store.add_lease(OWNER, 60.0)
        assert await store.renew_lease(OWNER, 60.0)
        assert await store.renew_lease(OWNER, 60.0)

    async def test_what_an_owner_without_a_lease_holds_is_free_for_others(self, store: Store) -> None:
        """R11: from the moment when its lease was ended; ending it twice does nothing."""
        await store.add_lease(OWNER, 60.0)
        await store.add_lease(LATER_OWNER, 60.0)
        task = await start(store, make_root(owner=OWNER))
        await store.end_lease(OWNER)
        await store.end_lease(OWNER)
        assert await store.has_claimable(LATER_OWNER)
        (claimed,) = await claim(store, LATER_OWNER)
        assert (claimed.task.task_id, claimed.task.attempt) == (task.task_id, 2)

    async def test_an_owner_holds_what_it_runs_with_its_attempts(self, store: Store) -> None:
        """R11: not what waits, has ended, was given up or belongs to another."""
        held, released, ended = [await start(store) for _ in range(3)]
        await start(store, make_root(owner=None))
        other = await start(store, make_root(owner=LATER_OWNER))
        await store.release_task(released.task_id, 1)
        await store.write([complete(ended)])
        assert await store.find_held(OWNER) == {held.task_id: 1}
        assert await store.find_held(LATER_OWNER) == {other.task_id: 1}
        assert await store.find_held("nobody") == {}

    async def test_a_claimed_task_is_held_with_its_new_attempt(self, store: Store) -> None:
        """R11."""
        task = await start(store)
        await claim(store, LATER_OWNER)
        assert await store.find_held(LATER_OWNER) == {task.task_id: 2}
        assert await store.find_held(OWNER) == {}

    async def test_a_message_is_an_order_until_it_is_applied(self, store: Store) -> None:
        """R6: for the owner of the task that it is for."""
        task, _ = await start(store), await start(store)
        other = await start(store, make_root(owner=LATER_OWNER))
        assert list(await store.find_orders(OWNER)) == []
        steers = [(await store.add_steer(ANNA, make_steer(task), None))[0] for _ in range(2)]
        await store.add_steer(ANNA, make_steer(other), None)
        assert list(await store.find_orders(OWNER)) == [task.task_id]
        assert list(await store.find_orders(LATER_OWNER)) == [other.task_id]
        for steer in steers:
            assert list(await store.find_orders(OWNER)) == [task.task_id]
            write = TaskWrite(task_id=task.task_id, attempt=1, applied_steer_ids=(steer.steer_id,))
            await store.write([write])
        assert list(await store.find_orders(OWNER)) == []

    async def test_a_cancel_is_an_order_for_a_task_and_all_below_it(self, store: Store) -> None:
        """R5: until each of them has ended."""
        task = await start(store)
        child = await start(store, make_child(task))
        await store.request_cancel(ANNA, task.task_id, SOFT, None)
        assert set(await store.find_orders(OWNER)) == {task.task_id, child.task_id}
        await store.request_cancel(ANNA, task.task_id, HARD, None)
        assert set(await store.find_orders(OWNER)) == {task.task_id, child.task_id}
        await store.write([complete(child)])
        assert list(await store.find_orders(OWNER)) == [task.task_id]
        await store.write([complete(task)])
        assert list(await store.find_orders(OWNER)) == []

    async def test_an_order_goes_with_the_task_to_its_next_owner(self, store: Store) -> None:
        """R5, R6."""
        task = await start(store)
        await store.add_steer(ANNA, make_steer(task), None)
        await claim(store, LATER_OWNER)
        assert list(await store.find_orders(OWNER)) == []
        assert list(await store.find_orders(LATER_OWNER)) == [task.task_id]

    async def test_the_ends_of_logs_are_told_by_their_roots(self, store: Store) -> None:
        """R3: those of the whole tree; a tree that is not there is left out."""
        first, second = await start(store), await start(store)
        child = await start(store, make_child(first))
        await store.write([say(child, *make_deltas(3)), say(second, *make_deltas(2))])
        ends = {root.task_id: (await store.read_events(root.task_id, 0, 100)).last_sequence for root in (first, second)}
        assert await store.get_last_sequences([first.task_id, second.task_id, new_id()]) == ends
        assert await store.get_last_sequences([child.task_id]) == {}
        assert await store.get_last_sequences([]) == {}
