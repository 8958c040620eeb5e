"""A team's board as its log tells it: what a reader knows who has only seen the events."""

from collections.abc import Iterable

from musterd_client import (
    Event,
    SubtaskEnded,
    SubtaskStarted,
    TaskState,
    TeamBoard,
    TeamMessage,
    TeamMessageSent,
    Todo,
    TodoChange,
    TodoChanged,
    TodoStatus,
)


class FoldedBoard:
    """Takes the events of one team's task. Fails when a todo is begun or done against the rules of the list."""

    def __init__(self, task_id: str) -> None:
        self.todos: dict[str, Todo] = {}
        self.messages: list[TeamMessage] = []
        self.turns: dict[str, dict[str, TaskState]] = {}
        self.completions: list[str] = []
        self._task_id = task_id

    @classmethod
    def of(cls, task_id: str, events: Iterable[Event]) -> "FoldedBoard":
        """Return what a log makes of the board of a team."""
        board = cls(task_id)
        for event in events:
            board.take(event)
        return board

    def take(self, event: Event) -> None:
        if event.task_id != self._task_id:
            return
        match event:
            case TodoChanged(change=TodoChange.REMOVED):
                del self.todos[event.todo.todo_id]
            case TodoChanged():
                self._change(event.todo, event.change)
            case TeamMessageSent():
                self.messages.append(event.message)
            case SubtaskStarted():
                self.turns.setdefault(event.subtask.id, {})[event.subtask_id] = TaskState.WORKING
            case SubtaskEnded():
                self.turns[event.subtask.id][event.subtask_id] = event.state
            case _:
                pass

    def _change(self, todo: Todo, change: TodoChange) -> None:
        former = self.todos.get(todo.todo_id)
        assert (former is None) == (change is TodoChange.ADDED)
        if change in (TodoChange.CLAIMED, TodoChange.COMPLETED):
            blockers = [self.todos[each] for each in todo.blocked_by if each in self.todos]
            assert all(each.status is TodoStatus.COMPLETED for each in blockers), todo
        if change is TodoChange.CLAIMED:
            assert former is not None
            assert former.status is TodoStatus.PENDING, todo
        if change is TodoChange.COMPLETED:
            self.completions.append(todo.content)
        self.todos[todo.todo_id] = todo

    def assert_is(self, board: TeamBoard) -> None:
        """Fail when the server says something else."""
        assert tuple(self.todos.values()) == board.todos
        assert tuple(self.messages) == board.messages
        turns = {member.name: {task.task_id: task.state for task in member.tasks} for member in board.members}
        assert {name: self.turns.get(name, {}) for name in turns} == turns
