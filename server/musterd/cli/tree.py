"""A tree of tasks, as the rows that a display shows."""

from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from musterd_client import ComponentRef, Task, TaskState, Usage


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One task of the tree.

    `name` is its component's id, with a number from the second task below the root on that has the same one. `tail` is
    the end of what it said and did. `question_ids` and `approval_ids` are those that are open.
    """

    task_id: str
    parent_id: str = ""
    name: str
    state: TaskState = TaskState.SUBMITTED
    usage: Usage = field(default_factory=Usage)
    description: str = ""
    tail: str = ""
    question_ids: tuple[str, ...] = ()
    approval_ids: tuple[str, ...] = ()

    @property
    def last_line(self) -> str:
        """The last line of the tail that is not blank."""
        return next((line.strip() for line in reversed(self.tail.splitlines()) if line.strip()), "")


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskTree:
    """A task and what is known of the tasks below it, by id, in the order in which they became known."""

    root_id: str
    rows: Mapping[str, Row]

    @property
    def root(self) -> Row:
        """The row of the task at the top."""
        return self.rows[self.root_id]


def new_tree(task: Task) -> TaskTree:
    """Returns the tree of a task of which no event was seen yet, whatever became of it since."""
    root = Row(task_id=task.task_id, name=task.component.id, description=task.description)
    return TaskTree(root_id=task.task_id, rows={task.task_id: root})


def tree_of(task: Task, below: Sequence[Task]) -> TaskTree:
    """Returns the tree of a task as it stands, with those of the other tasks that are below it."""
    root = replace(
        new_tree(task).root,
        state=task.state,
        usage=task.usage,
        question_ids=_question_ids(task),
        approval_ids=_approval_ids(task),
    )
    rows = {task.task_id: root}
    taken: set[str] = set()
    seen: Counter[str] = Counter()
    for child in _parents_first(task.task_id, below):
        # A tree may have thousands of tasks of one name: not each of them begins to count at 1.
        name = _free_name(child.component.id, seen[child.component.id], taken)
        taken.add(name)
        seen[child.component.id] += 1
        rows[child.task_id] = Row(
            task_id=child.task_id,
            parent_id=child.parent_task_id,
            name=name,
            state=child.state,
            usage=child.usage,
            description=child.description,
            question_ids=_question_ids(child),
            approval_ids=_approval_ids(child),
        )
    return TaskTree(root_id=task.task_id, rows=rows)


def in_order(tree: TaskTree) -> Iterator[tuple[int, Row]]:
    """Yields the rows with their depth, each parent before its children. One whose parent is unknown is the root's."""
    children: dict[str, list[Row]] = {}
    for row in tree.rows.values():
        if row.task_id != tree.root_id:
            parent_id = row.parent_id if row.parent_id in tree.rows else tree.root_id
            children.setdefault(parent_id, []).append(row)
    waiting = [(0, tree.root)]
    while waiting:
        depth, row = waiting.pop()
        yield depth, row
        waiting += [(depth + 1, child) for child in reversed(children.get(row.task_id, []))]


def fitting(tree: TaskTree, limit: int) -> tuple[Sequence[tuple[int, Row]], int]:
    """Returns at most so many rows, and how many are left out: first those that ended, then the last ones."""
    rows = list(in_order(tree))
    excess = max(0, len(rows) - max(limit, 1))
    ended = [row.task_id for depth, row in rows if depth > 0 and row.state.is_terminal]
    others = [row.task_id for depth, row in reversed(rows) if depth > 0 and not row.state.is_terminal]
    left_out = {*(ended + others)[:excess]}
    return [(depth, row) for depth, row in rows if row.task_id not in left_out], len(left_out)


def with_row(tree: TaskTree, row: Row) -> TaskTree:
    """Returns the tree with a row new or changed."""
    return tree if tree.rows.get(row.task_id) is row else replace(tree, rows={**tree.rows, row.task_id: row})


def new_name(tree: TaskTree, component: ComponentRef) -> str:
    """Returns a name for a new task below the root that no other one there has."""
    return _free_name(component.id, 0, {row.name for row in tree.rows.values() if row.task_id != tree.root_id})


def _free_name(wanted: str, seen: int, taken: Collection[str]) -> str:
    """Returns the first name that is not taken, of those after the `seen` first ones."""
    number = seen + 1
    while (name := wanted if number == 1 else f"{wanted}#{number}") in taken:
        number += 1
    return name


def _question_ids(task: Task) -> tuple[str, ...]:
    return tuple(question.question_id for question in task.questions)


def _approval_ids(task: Task) -> tuple[str, ...]:
    """Returns those of the task itself: a root tells those of all below it, too."""
    return tuple(each.approval_id for each in task.approvals if each.task_id == task.task_id)


def _parents_first(root_id: str, tasks: Sequence[Task]) -> Iterator[Task]:
    """Yields those below the root, generation by generation, each in the order of creation."""
    oldest_first = sorted(tasks, key=lambda task: (task.create_time is not None, task.create_time, task.task_id))
    generation = {root_id}
    while generation:
        children = [task for task in oldest_first if task.parent_task_id in generation]
        yield from children
        generation = {task.task_id for task in children}
