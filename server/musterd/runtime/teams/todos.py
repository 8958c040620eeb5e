"""Mode `tasks`: the leader plans, and the members work off the todo list until it is done."""

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from pydantic_ai import AgentRunResult

from musterd.domain.board import Todo, TodoRefused, Todos, TodoStatus, is_available
from musterd.domain.task import Task, TaskState
from musterd.domain.team_board import Board
from musterd.runtime.attempt.recorder import RUN_ENDED
from musterd.runtime.delegation.children import owner_of
from musterd.runtime.teams.leading import UNSUCCESSFUL, TeamRun
from musterd.runtime.teams.texts import round_text, turn_text

MAX_ROUNDS = 10
"""How often a leader may add todos after the list was done."""

MAX_FAILURES_OF_MEMBER = 2
"""After how many failed turns a member gets no more todos."""

ROUND = "musterd-round"
"""Under this id the journal holds what the leader was told at the end of a round."""


async def work_on_todos(run: TeamRun) -> AgentRunResult[Any]:
    """Let the leader plan, the members work, and the leader answer; as often as it adds todos."""
    result = await run.lead(run.node.prompt)
    reported: tuple[str, ...] = ()
    for _ in range(MAX_ROUNDS):
        told = _stored_round(run) or await _end_of_round(run, reported)
        if told is None:
            return result
        reported = told.reported
        result = await run.lead(told.text, history=result.all_messages())
    return result


@dataclass(frozen=True, slots=True)
class _Round:
    """What the leader is told when the list is done, and of which todos it has heard by then."""

    text: str
    reported: tuple[str, ...]


def _stored_round(run: TeamRun) -> _Round | None:
    """Return how the round ended when this task was worked on before: the board may have changed since."""
    step = run.scope.recorder.tool_step(ROUND)
    if step is None:
        return None
    stored = json.loads(step.outcome_json)
    return _Round(stored["text"], tuple(stored["reported"]))


async def _end_of_round(run: TeamRun, reported: tuple[str, ...]) -> _Round | None:
    """Work off the list, and store what the leader is to be told; None when there is nothing new on it."""
    run.scope.control.check()
    board = await run.board.read()
    if not any(todo_id not in reported for todo_id in board.todos):
        return None
    # What is written to the leader from now on is for its next run, also when this one is played again.
    recorder = run.scope.recorder
    recorder.note(RUN_ENDED)
    await recorder.commit()
    await _Shift(run).work()
    todos = (await run.board.read()).todos
    told = _Round(round_text(todos, reported), (*reported, *(each for each in todos if each not in reported)))
    recorder.note(ROUND, json.dumps({"text": told.text, "reported": told.reported}).encode())
    await recorder.commit()
    return told


@dataclass(slots=True)
class _Shift:
    """The members at work on the list.

    All that is decided here follows from the board and the turns as they are stored, so that it can begin anew at any
    point: a todo in progress belongs to the turn whose id follows from it and from how often it was claimed.
    """

    run: TeamRun
    turns: dict[str, tuple[str, str]] = field(default_factory=dict[str, tuple[str, str]])
    """By member: the id of its turn, and the todo that it is for."""

    async def work(self) -> None:
        """Return when nothing on the list can be done any more."""
        run = self.run
        task_id = run.scope.task.task_id
        async with run.scope.time_limit(), run.children.slots.waiting(run.scope.slot):
            await run.scope.control.guard(self._find_turns())
            while True:
                run.scope.control.check()
                watched = [task_id, *(turn_id for turn_id, _ in self.turns.values())]
                with run.children.changes.watch(watched, for_others=True) as waiter:
                    if await run.scope.control.guard(self._step()):
                        continue
                    if not self.turns:
                        return
                    async with run.host.parking.idle(watched[1:]):
                        await run.scope.control.guard(waiter.wait())

    async def _find_turns(self) -> None:
        """Follow the turns that an earlier attempt began and that go on, also those whose todos are done by now."""
        live = [turn for turn in await self.run.turns() if not turn.state.is_terminal]
        if not live:
            return
        todos = (await self.run.board.read()).todos.values()
        todo_of = {
            self.run.turn_id("todo", todo.id, attempt): todo.id
            for todo in todos
            for attempt in range(1, todo.attempts + 1)
        }
        self.turns = {turn.component.id: (turn.task_id, todo_of.get(turn.task_id, "")) for turn in live}

    async def _step(self) -> bool:
        """Settle what has ended and start what can be started. Returns True when something was done."""
        has_settled = await self._settle()
        board = await self.run.board.read()
        has_resumed = await self._resume(board)
        return await self._start(board) or has_resumed or has_settled

    async def _settle(self) -> bool:
        """Complete or release the todos of turns that have ended."""
        run = self.run
        if not self.turns:
            return False
        turn_ids = [turn_id for turn_id, _ in self.turns.values()]
        owner = owner_of(run.scope.task)
        tasks = await run.children.patiently(lambda: run.children.store.get_tasks(owner, turn_ids))
        ended = {task.task_id: task for task in tasks if task.state.is_terminal}
        for member, (turn_id, todo_id) in list(self.turns.items()):
            if turn_id in ended:
                del self.turns[member]
                await self._settle_turn(member, todo_id, ended[turn_id])
        if any(task.state in UNSUCCESSFUL for task in ended.values()):
            await run.check_failures()
        return bool(ended)

    async def _settle_turn(self, member: str, todo_id: str, turn: Task) -> None:
        if turn.state is not TaskState.COMPLETED or turn.output is None:
            reason = turn.error.message if turn.error is not None else f"the turn was {turn.state.value}"
            await self.run.board.release_todos(member, reason)
            return
        todo = (await self.run.board.read()).todos.get(todo_id)
        if todo is None or todo.status is not TodoStatus.IN_PROGRESS or todo.assigned_to != member:
            return
        try:
            await self.run.board.complete_todo(todo_id, member, turn.output.text)
        except TodoRefused as refusal:
            # Something that it waits for was put on the list meanwhile.
            await self.run.board.release_todos(member, str(refusal), todo_id)

    async def _resume(self, board: Board) -> bool:
        """Give members without a turn one for what they have in hand; first those that they are in already."""
        in_hand = [todo for todo in board.todos.values() if self._is_waiting(todo)]
        if not in_hand:
            return False
        begun = {turn.task_id for turn in await self.run.turns()}
        for todo in sorted(in_hand, key=lambda todo: self._turn_id(todo) not in begun):
            if todo.assigned_to is not None and todo.assigned_to not in self.turns:
                await self._start_turn(todo.assigned_to, todo, board.todos)
        return True

    def _is_waiting(self, todo: Todo) -> bool:
        """Whether an item is in the hands of a member that has no turn."""
        is_in_hand = todo.status is TodoStatus.IN_PROGRESS and todo.assigned_to in self.run.team.members
        return is_in_hand and todo.assigned_to not in self.turns

    async def _start(self, board: Board) -> bool:
        """Give free todos to idle members, the one with the fewest turns first."""
        idle = [name for name in await self._able_members() if name not in self.turns]
        has_started = False
        for todo in board.todos.values():
            if not idle:
                break
            if not is_available(board.todos, todo):
                continue
            if await self.run.board.claim_todo(todo.id, idle[0]):
                claimed = (await self.run.board.read()).todos[todo.id]
                await self._start_turn(idle.pop(0), claimed, board.todos)
                has_started = True
        return has_started

    async def _able_members(self) -> Sequence[str]:
        turns = await self.run.turns()
        count = Counter(turn.component.id for turn in turns)
        failures = Counter(turn.component.id for turn in turns if turn.state in UNSUCCESSFUL)
        able = [name for name in self.run.team.members if failures[name] < MAX_FAILURES_OF_MEMBER]
        return sorted(able, key=lambda name: count[name])

    async def _start_turn(self, member: str, todo: Todo, todos: Todos) -> None:
        run = self.run
        turn_id = self._turn_id(todo)
        await run.start_turn(turn_id, member, turn_text(run.scope.spec.message, todos, todo))
        self.turns[member] = (turn_id, todo.id)

    def _turn_id(self, todo: Todo) -> str:
        return self.run.turn_id("todo", todo.id, todo.attempts)
