"""The boards of teams, for those who take part in a team's work from outside."""

from collections.abc import Sequence

from musterd.domain.board import TeamMessage, Todo
from musterd.domain.errors import FieldViolation, MusterdError, Reason
from musterd.domain.ids import derived_id, new_id
from musterd.domain.ports import RequestKey, Store
from musterd.domain.principal import Viewer
from musterd.domain.task import ComponentKind, Task
from musterd.domain.team_board import AddTodo, Board, SendMessage
from musterd.runtime.supervisor import Supervisor

MEMBER_KINDS = (ComponentKind.MEMBER, ComponentKind.TEAM)


class Boards:
    """What callers may do with the board of a team. Raises TASK_NOT_FOUND and BOARD_NOT_FOUND everywhere."""

    def __init__(self, *, store: Store, supervisor: Supervisor) -> None:
        self._store = store
        self._supervisor = supervisor

    async def get(self, viewer: Viewer, task_id: str) -> tuple[Board, Sequence[Task]]:
        """Return a team's board and the turns of its members, oldest first."""
        board = await self._store.get_board(viewer, task_id)
        below = await self._store.get_descendants(task_id)
        turns = [task for task in below if task.parent_task_id == task_id and task.component.kind in MEMBER_KINDS]
        return board, sorted(turns, key=lambda task: (task.create_time, task.task_id))

    async def add_todo(
        self,
        viewer: Viewer,
        *,
        task_id: str,
        content: str,
        blocked_by: tuple[str, ...],
        user_id: str,
        request: RequestKey | None,
    ) -> Todo:
        """Put an item on the list, and return it. Raises TODO_REFUSED and TEAM_ENDED.

        A repeated call returns the item as it stands; as it was added, when it was taken off the list since.
        """
        actor = actor_of(user_id)
        added = Todo(id=_id_of(request), content=content, blocked_by=blocked_by, created_by=actor)
        command = AddTodo(todo_id=added.id, content=content, blocked_by=blocked_by, created_by=actor)
        try:
            record = await self._store.change_board(task_id, command, viewer=viewer, request=request)
        except MusterdError as error:
            if error.reason is Reason.TODO_REFUSED:
                error.violations = await self._unknown_among(blocked_by, viewer, task_id)
            raise
        if not self._supervisor.runs_here(task_id):
            # A team that nobody ran meanwhile is taken up again.
            self._supervisor.look_for_work()
        return record.board.todos.get(added.id, added)

    async def send(
        self,
        viewer: Viewer,
        *,
        task_id: str,
        receiver: str,
        content: str,
        user_id: str,
        request: RequestKey | None,
    ) -> TeamMessage:
        """Send a message, and return it as it was stored. Raises MEMBER_NOT_FOUND, TODO_REFUSED and TEAM_ENDED."""
        message_id = _id_of(request)
        command = SendMessage(message_id=message_id, sender=actor_of(user_id), receiver=receiver, content=content)
        try:
            record = await self._store.change_board(task_id, command, viewer=viewer, request=request)
        except MusterdError as error:
            if error.reason is Reason.MEMBER_NOT_FOUND:
                error.metadata = {**error.metadata, "member": receiver}
            raise
        for steer in record.delivered:
            self._supervisor.steer(steer)
        return next(message for message in reversed(record.board.messages) if message.id == message_id)

    async def _unknown_among(
        self, blocked_by: Sequence[str], viewer: Viewer, task_id: str
    ) -> tuple[FieldViolation, ...]:
        todos = (await self._store.get_board(viewer, task_id)).todos
        return tuple(
            FieldViolation(path=f"blocked_by[{index}]", rule="exists", message=f"there is no todo {todo_id!r}")
            for index, todo_id in enumerate(blocked_by)
            if todo_id not in todos
        )


def actor_of(user_id: str) -> str:
    """Return the name under which a user takes part in a team's work."""
    return f"user:{user_id}"


def _id_of(request: RequestKey | None) -> str:
    """Return the id of what a call makes: the same one each time that the call is repeated."""
    if request is None:
        return new_id()
    return derived_id(request.tenant_id, request.user_id, request.method, request.request_id)
