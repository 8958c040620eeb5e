"""The rules of a team's todo list."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import FrozenInstanceError, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from musterd.domain.board import (
    MAX_TODO_ATTEMPTS,
    MAX_TODO_CHARS,
    MAX_TODOS,
    Todo,
    TodoRefused,
    Todos,
    TodoStatus,
    is_available,
    open_blockers,
    with_added,
    with_claimed,
    with_completed,
    with_dependencies,
    with_released,
    without,
)

IDS = st.sampled_from(["a", "b", "c", "d", "e"])
MEMBERS = st.sampled_from(["bob", "eve"])


def make_todos(*todo_ids: str, **blocked_by: str) -> Todos:
    """Return a list of items; a keyword makes an item wait for those whose letters its value has."""
    todos: Todos = {todo_id: Todo(id=todo_id, content="dig") for todo_id in todo_ids}
    for todo_id, blockers in blocked_by.items():
        todos = with_added(todos, Todo(id=todo_id, content="dig", blocked_by=tuple(blockers)))
    return todos


def claimed(todos: Todos, todo_id: str, member: str = "bob") -> Todos:
    """Return a list in which a member has taken on an item."""
    changed = with_claimed(todos, todo_id, member)
    assert changed is not None
    return changed


def test_a_new_item_comes_last_and_its_id_counts_once() -> None:
    """T2."""
    todos = make_todos("a", "b")
    assert list(with_added(todos, Todo(id="c", content="dig"))) == ["a", "b", "c"]
    assert with_added(todos, Todo(id="a", content="something else")) is todos


@pytest.mark.parametrize("content", ["", " \n"])
def test_an_item_needs_a_text(content: str) -> None:
    """T2."""
    with pytest.raises(TodoRefused, match="needs a text"):
        with_added({}, Todo(id="a", content=content))


def test_a_text_has_a_longest_length() -> None:
    """T2."""
    assert with_added({}, Todo(id="a", content="x" * MAX_TODO_CHARS))
    with pytest.raises(TodoRefused, match=f"at most {MAX_TODO_CHARS} characters, not {MAX_TODO_CHARS + 1}"):
        with_added({}, Todo(id="a", content="x" * (MAX_TODO_CHARS + 1)))


def test_a_list_has_a_largest_size() -> None:
    """T2."""
    todos = make_todos(*map(str, range(MAX_TODOS - 1)))
    full = with_added(todos, Todo(id="last", content="dig"))
    assert len(full) == MAX_TODOS
    with pytest.raises(TodoRefused, match=f"at most {MAX_TODOS} items"):
        with_added(full, Todo(id="one more", content="dig"))
    assert with_added(without(full, "7"), Todo(id="one more", content="dig"))


def test_what_an_item_waits_for_must_be_there() -> None:
    """T2 (refusal): unknown dependencies are refused."""
    with pytest.raises(TodoRefused, match="there is no todo 'z' to wait for"):
        with_added(make_todos("a"), Todo(id="b", content="dig", blocked_by=("a", "z")))
    with pytest.raises(TodoRefused, match="there is no todo 'z' to wait for"):
        with_dependencies(make_todos("a"), "a", ["z"])


def test_an_item_cannot_wait_for_itself() -> None:
    """T2 (refusal): cycles are refused, however long."""
    with pytest.raises(TodoRefused, match="'a' would wait for itself through 'a'"):
        with_added({}, Todo(id="a", content="dig", blocked_by=("a",)))
    todos = make_todos("a", b="a", c="b", d="c")
    with pytest.raises(TodoRefused, match="'a' would wait for itself through 'd'"):
        with_dependencies(todos, "a", ["d"])
    assert with_dependencies(todos, "d", ["a", "b"])["d"].blocked_by == ("a", "b")


class CountedTodos(dict[str, Todo]):
    """Counts how often one of its items is looked at."""

    looks = 0

    def __getitem__(self, todo_id: str) -> Todo:
        self.looks += 1
        return super().__getitem__(todo_id)


def test_to_check_what_an_item_waits_for_takes_one_look_at_each() -> None:
    """T2: the longest list of items that all wait for all before them holds nobody up."""
    todos = CountedTodos()
    for number in range(20):
        todos[str(number)] = Todo(id=str(number), content="dig", blocked_by=tuple(todos))
    assert with_added(todos, Todo(id="new", content="dig", blocked_by=tuple(todos)))["new"].blocked_by == tuple(todos)
    assert todos.looks <= 2 * len(todos)


@given(wishes=st.lists(st.tuples(IDS, st.lists(IDS, max_size=3)), max_size=20))
def test_no_order_of_wishes_makes_a_cycle(wishes: Sequence[tuple[str, list[str]]]) -> None:
    """T2: there is always an item that can be done, until all are."""
    todos = make_todos("a", "b", "c", "d", "e")
    for todo_id, blocked_by in wishes:
        try:
            todos = with_dependencies(todos, todo_id, blocked_by)
        except TodoRefused:
            continue
    for _ in range(len(todos)):
        free = next(todo for todo in todos.values() if is_available(todos, todo))
        todos = with_completed(claimed(todos, free.id), free.id, "bob")
    assert all(todo.status is TodoStatus.COMPLETED for todo in todos.values())


@pytest.mark.parametrize("is_completed", [False, True])
def test_only_a_pending_item_can_be_made_to_wait(is_completed: bool) -> None:
    """T2."""
    todos = claimed(make_todos("a", "b"), "a")
    if is_completed:
        todos = with_completed(todos, "a", "bob")
    with pytest.raises(TodoRefused, match="only a pending one"):
        with_dependencies(todos, "a", ["b"])


def test_an_item_is_claimed_once() -> None:
    """T2."""
    todos = claimed(make_todos("a"), "a")
    assert (todos["a"].status, todos["a"].assigned_to, todos["a"].attempts) == (TodoStatus.IN_PROGRESS, "bob", 1)
    assert with_claimed(todos, "a", "eve") is None
    assert with_claimed(todos, "a", "bob") is todos
    assert with_claimed(todos, "z", "bob") is None
    assert with_claimed(with_completed(todos, "a", "bob"), "a", "bob") is None


def test_a_blocked_item_cannot_be_claimed_or_completed_until_it_is_free() -> None:
    """T2: completing an item unblocks its dependants."""
    todos = make_todos("a", "b", c="ab")
    assert with_claimed(todos, "c", "bob") is None
    todos = with_completed(todos, "a", "bob")
    assert list(open_blockers(todos, todos["c"])) == ["b"]
    with pytest.raises(TodoRefused, match="'c' still waits for b"):
        with_completed(todos, "c", None)
    todos = with_completed(todos, "b", "eve")
    assert is_available(todos, todos["c"])
    assert with_completed(claimed(todos, "c"), "c", "bob")["c"].status is TodoStatus.COMPLETED


def test_an_item_is_completed_by_who_has_it() -> None:
    """T2, T6: a member completes its own."""
    todos = claimed(make_todos("a", "b"), "a")
    with pytest.raises(TodoRefused, match="'a' belongs to 'bob'"):
        with_completed(todos, "a", "eve")
    done = with_completed(todos, "a", None, "dug")
    assert (done["a"].assigned_to, done["a"].result) == ("bob", "dug")
    assert with_completed(done, "a", "bob") is done
    with pytest.raises(TodoRefused, match="completed by 'bob' already"):
        with_completed(done, "a", "eve")
    assert with_completed(todos, "b", "eve")["b"].assigned_to == "eve"
    with pytest.raises(TodoRefused, match="there is no todo 'z'"):
        with_completed(todos, "z", "bob")


def test_an_item_that_is_given_up_is_free_until_it_was_taken_on_too_often() -> None:
    """T2: a dead claimant's item is released, and fails with the last attempt."""
    todos = make_todos("a")
    for attempt in range(1, MAX_TODO_ATTEMPTS):
        todos = with_released(claimed(todos, "a"), "a", "bob", "crashed")
        assert todos["a"] == Todo(id="a", content="dig", attempts=attempt)
    todos = with_released(claimed(todos, "a"), "a", "bob", "crashed")
    failed = Todo(
        id="a",
        content="dig",
        status=TodoStatus.FAILED,
        assigned_to="bob",
        attempts=MAX_TODO_ATTEMPTS,
        result="crashed",
    )
    assert todos["a"] == failed
    assert with_claimed(todos, "a", "eve") is None


def test_only_what_a_member_has_in_hand_is_given_up() -> None:
    """T2."""
    todos = claimed(claimed(make_todos("a", "b", "c"), "a", "bob"), "b", "eve")
    for todo_id in ("b", "c", "z"):
        assert with_released(todos, todo_id, "bob") is todos
    done = with_completed(todos, "a", "bob")
    assert with_released(done, "a", "bob") is done


def test_what_waited_for_a_removed_item_waits_for_it_no_longer() -> None:
    """T2."""
    todos = without(make_todos("a", "b", c="ab"), "a")
    assert list(todos) == ["b", "c"]
    assert todos["c"].blocked_by == ("b",)
    assert without(todos, "z") == todos


def test_items_cannot_be_changed_from_outside() -> None:
    """T2: what is returned is a copy."""
    todo = make_todos("a")["a"]
    with pytest.raises(FrozenInstanceError):
        todo.content = "something else"  # pyright: ignore[reportAttributeAccessIssue] - that is the point


@given(
    steps=st.lists(
        st.one_of(
            st.tuples(st.just("add"), IDS, MEMBERS),
            st.tuples(st.just("claim"), IDS, MEMBERS),
            st.tuples(st.just("complete"), IDS, MEMBERS),
            st.tuples(st.just("release"), IDS, MEMBERS),
            st.tuples(st.just("remove"), IDS, MEMBERS),
        ),
        max_size=40,
    )
)
def test_a_list_stays_sound_and_no_change_touches_the_former(steps: Sequence[tuple[str, str, str]]) -> None:
    """T2."""
    todos: Todos = {}
    for action, todo_id, member in steps:
        before = dict(todos)
        try:
            changed = apply(todos, action, todo_id, member)
        except TodoRefused:
            changed = todos
        assert dict(todos) == before
        todos = changed
        for todo in todos.values():
            assert (todo.status is TodoStatus.IN_PROGRESS) <= (todo.assigned_to is not None)
            assert (todo.status is TodoStatus.PENDING) <= (todo.assigned_to is None)
            assert todo.attempts <= MAX_TODO_ATTEMPTS
            assert set(todo.blocked_by) <= set(todos)
            assert (todo.status is TodoStatus.PENDING) or not open_blockers(todos, todo)


def apply(todos: Todos, action: str, todo_id: str, member: str) -> Todos:
    """Return what a member's action makes of a list."""
    actions: Mapping[str, Callable[[], Todos | None]] = {
        "add": lambda: with_added(todos, replace(Todo(id=todo_id, content="dig"), blocked_by=tuple(todos)[:1])),
        "claim": lambda: with_claimed(todos, todo_id, member),
        "complete": lambda: with_completed(todos, todo_id, member),
        "release": lambda: with_released(todos, todo_id, member),
        "remove": lambda: without(todos, todo_id),
    }
    changed = actions[action]()
    return todos if changed is None else changed
