"""A todo list that several agents share, in this process's memory."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from musterd.domain.board import Todo, Todos, TodoStatus, is_available, with_dependencies
from musterd.domain.ids import new_id
from musterd.domain.team_board import (
    AddTodo,
    Board,
    BoardChange,
    ClaimTodo,
    CompleteTodo,
    ReleaseTodos,
    RemoveTodo,
    TodoCommand,
    change_board,
)


@dataclass(slots=True)
class SharedTodoItem:
    """One item of a shared todo list, as it was when it was asked for: to change it does nothing to the list.

    `blocked_by` are the ids of the items that must be completed first. `result` is what completing it brought; for a
    failed one, why.
    """

    id: str = field(default_factory=new_id)
    content: str = ""
    status: TodoStatus = TodoStatus.PENDING
    assigned_to: str | None = None
    blocked_by: list[str] = field(default_factory=list[str])
    created_by: str | None = None
    result: str = ""


class SharedTodoList:
    """A todo list for the agents of one event loop: each change is one step that no other agent sees half done."""

    def __init__(self) -> None:
        self._todos: Todos = {}

    @property
    def todos(self) -> Todos:
        """The items by id, as they stand now, in the order in which they were added."""
        return self._todos

    def apply(self, command: TodoCommand) -> BoardChange:
        """Apply a command of the domain at once. Raises TodoRefused."""
        change = change_board(Board(team="", members=(), todos=self._todos), command, datetime.now(UTC))
        self._todos = change.board.todos
        return change

    async def add(self, content: str, *, blocked_by: Sequence[str] | None = None, created_by: str | None = None) -> str:
        """Add an item at the end, and return its id.

        Raises TodoRefused when the text is empty or too long, the list is full, or it waits for an unknown item.
        """
        todo_id = new_id()
        blockers = tuple(blocked_by or ())
        self.apply(AddTodo(todo_id=todo_id, content=content, blocked_by=blockers, created_by=created_by or ""))
        return todo_id

    async def claim(self, item_id: str, agent_name: str) -> bool:
        """Take an item on. Returns False when it is missing, not pending, claimed already or blocked."""
        todo = self._todos.get(item_id)
        if todo is None or not is_available(self._todos, todo):
            return False
        return self.apply(ClaimTodo(todo_id=item_id, member=agent_name)).is_done

    async def complete(self, item_id: str) -> None:
        """Say that an item is done, whoever has it, which unblocks what waits for it. An unknown id does nothing.

        Raises TodoRefused when the item is blocked itself.
        """
        if item_id in self._todos:
            self.apply(CompleteTodo(todo_id=item_id, member=None))

    async def block(self, item_id: str, *, by: Sequence[str]) -> None:
        """Let an item that nobody has wait for others, instead of for those it waits for now.

        Raises TodoRefused for unknown ids, for an item that is not pending, and when it would wait for itself.
        """
        self._todos = with_dependencies(self._todos, item_id, by)

    async def release(self, agent_name: str, reason: str = "") -> None:
        """Give up what an agent has in hand; an item that was given up too often fails with the reason."""
        self.apply(ReleaseTodos(member=agent_name, reason=reason))

    async def remove(self, item_id: str) -> bool:
        """Take an item off the list; what waited for it waits no longer. Returns False when it is not there."""
        return self.apply(RemoveTodo(todo_id=item_id)).is_done

    async def get_available(self) -> list[SharedTodoItem]:
        """Return the items that may be claimed now."""
        return [_item_of(todo) for todo in self._todos.values() if is_available(self._todos, todo)]

    async def get_all(self) -> list[SharedTodoItem]:
        """Return all items, in the order in which they were added."""
        return [_item_of(todo) for todo in self._todos.values()]

    async def get(self, item_id: str) -> SharedTodoItem | None:
        """Return an item; None when it is not there."""
        todo = self._todos.get(item_id)
        return None if todo is None else _item_of(todo)

    async def count(self) -> int:
        """Return how many items there are, whatever became of them."""
        return len(self._todos)


def _item_of(todo: Todo) -> SharedTodoItem:
    return SharedTodoItem(
        id=todo.id,
        content=todo.content,
        status=todo.status,
        assigned_to=todo.assigned_to,
        blocked_by=list(todo.blocked_by),
        created_by=todo.created_by or None,
        result=todo.result,
    )
