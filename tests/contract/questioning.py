"""Questions of running tasks."""

import asyncio
from datetime import timedelta

import pytest
from tests.contract.canceling import end_canceled
from tests.contract.children import make_subtask
from tests.contract.claiming import EXPIRED, RENEWED
from tests.contract.incarnations import Restart
from tests.contract.values import (
    ADMIN,
    ANNA,
    ANNA_ELSEWHERE,
    BERT,
    HARD,
    LATER_OWNER,
    claim,
    complete,
    make_identity,
    make_key,
    make_root,
    read_log,
    say,
    start,
    write_one,
)

from musterd.domain.errors import MusterdError, Reason
from musterd.domain.event import Event, QuestionAnswered, QuestionAsked, QuestionExpired
from musterd.domain.ids import new_id
from musterd.domain.ports import AskedQuestion, Lost, QuestionState, Store, TaskQuery
from musterd.domain.task import Task, TaskState

TEXT = 'Which "one"? \x00 🐝'


async def ask(store: Store, task: Task, text: str = TEXT) -> AskedQuestion:
    """Let a task ask something, and return the question."""
    asked = await store.ask(task.task_id, task.attempt, question_id=new_id(), text=text, seconds=300.0)
    assert isinstance(asked, AskedQuestion)
    return asked


async def reply(store: Store, task: Task, question_id: str = "", answer: str = "this one") -> Task:
    """Answer a question as the task's owner."""
    return await store.answer(ANNA, task.task_id, question_id, answer=answer, user_id="anna", request=None)


async def read_state(store: Store, task: Task) -> TaskState:
    """Return the state of a task."""
    return (await store.get_task(ADMIN, task.task_id)).state


async def read_question_state(store: Store, asked: AskedQuestion) -> QuestionState:
    """Return what became of a question."""
    return (await store.get_question(asked.question.question_id)).state


class QuestioningContract:
    """What `ask`, `answer`, `expire_question` and `get_question` promise."""

    async def test_a_task_that_asks_waits_for_input(
        self, store: Store, committed: list[Event], restart: Restart
    ) -> None:
        """R7, S7."""
        task = await start(store)
        asked = await ask(store, task)
        question = asked.question
        assert (asked.state, asked.answer, question.text, question.task_id) == (
            QuestionState.OPEN,
            "",
            TEXT,
            task.task_id,
        )
        assert question.expire_time - question.create_time == timedelta(seconds=300)
        assert committed[-1].payload == QuestionAsked(
            question_id=question.question_id, text=TEXT, expire_time=question.expire_time
        )
        waiting = await store.get_task(ANNA, task.task_id)
        assert (waiting.state, waiting.questions) == (TaskState.INPUT_REQUIRED, (question,))
        assert list(await store.list_tasks(TaskQuery(viewer=ANNA, limit=10))) == [waiting]
        assert list(await store.get_tasks(ANNA, [task.task_id])) == [waiting]
        assert await (await restart()).get_question(question.question_id) == asked

    async def test_an_answer_lets_the_task_work_again(self, store: Store, committed: list[Event]) -> None:
        """R7."""
        task = await start(store)
        asked = await ask(store, task)
        answered = await reply(store, task, asked.question.question_id)
        assert (answered.state, answered.questions) == (TaskState.WORKING, ())
        assert await store.get_task(ANNA, task.task_id) == answered
        assert committed[-1].payload == QuestionAnswered(
            question_id=asked.question.question_id, answer="this one", user_id="anna"
        )
        stored = await store.get_question(asked.question.question_id)
        assert stored == AskedQuestion(question=asked.question, state=QuestionState.ANSWERED, answer="this one")

    async def test_several_questions_are_answered_one_by_one(self, store: Store) -> None:
        """R7, S7: the task waits until none is open."""
        task = await start(store)
        first, second, third = [await ask(store, task, text) for text in ("a?", "b?", "c?")]
        waiting = await store.get_task(ANNA, task.task_id)
        assert waiting.questions == (first.question, second.question, third.question)
        still = await reply(store, task, second.question.question_id, "b!")
        assert (still.state, still.questions) == (TaskState.INPUT_REQUIRED, (first.question, third.question))
        await store.expire_question(task.task_id, 1, first.question.question_id)
        assert await read_state(store, task) is TaskState.INPUT_REQUIRED
        assert (await reply(store, task)).state is TaskState.WORKING
        states = [await read_question_state(store, asked) for asked in (first, second, third)]
        assert states == [QuestionState.EXPIRED, QuestionState.ANSWERED, QuestionState.ANSWERED]

    async def test_an_answer_without_an_id_needs_exactly_one_open_question(self, store: Store) -> None:
        """R7."""
        task = await start(store)
        with pytest.raises(MusterdError) as none_open:
            await reply(store, task)
        assert none_open.value.reason is Reason.TASK_NOT_WAITING
        assert none_open.value.metadata == {"task_id": task.task_id, "state": "working"}
        asked = [await ask(store, task) for _ in range(2)]
        with pytest.raises(MusterdError) as several_open:
            await reply(store, task)
        assert several_open.value.reason is Reason.TASK_NOT_WAITING
        assert several_open.value.metadata == {"task_id": task.task_id, "state": "input_required"}
        assert all(one.question.question_id in several_open.value.message for one in asked)

    async def test_a_question_is_answered_once(self, store: Store) -> None:
        """R7."""
        task, other = await start(store), await start(store)
        asked, elsewhere = await ask(store, task), await ask(store, other)
        calls = [reply(store, task, asked.question.question_id, f"{number}") for number in range(10)]
        results = await asyncio.gather(*calls, return_exceptions=True)
        assert sum(isinstance(result, Task) for result in results) == 1
        for question_id in (asked.question.question_id, elsewhere.question.question_id, new_id()):
            with pytest.raises(MusterdError) as refused:
                await reply(store, task, question_id)
            assert refused.value.reason is Reason.TASK_NOT_WAITING
            assert question_id in refused.value.message
        assert await read_question_state(store, elsewhere) is QuestionState.OPEN

    async def test_a_repeated_answer_changes_nothing(self, store: Store) -> None:
        """R8."""
        task = await start(store)
        first, second = await ask(store, task), await ask(store, task)
        key = make_key("r1", method="AnswerTask")
        question_id = first.question.question_id
        for _ in range(2):
            await store.answer(ANNA, task.task_id, question_id, answer="a", user_id="anna", request=key)
        assert await read_question_state(store, second) is QuestionState.OPEN
        assert sum(isinstance(payload, QuestionAnswered) for payload in await read_log(store, task)) == 1
        changed = make_key("r1", method="AnswerTask", body="another body")
        with pytest.raises(MusterdError) as refused:
            await store.answer(ANNA, task.task_id, question_id, answer="b", user_id="anna", request=changed)
        assert refused.value.reason is Reason.REQUEST_ID_REUSED

    async def test_only_who_sees_a_task_may_answer_it(self, store: Store) -> None:
        """I5."""
        task = await start(store)
        asked = await ask(store, task)
        for stranger in (BERT, ANNA_ELSEWHERE):
            with pytest.raises(MusterdError) as refused:
                await store.answer(stranger, task.task_id, "", answer="a", user_id="x", request=None)
            assert refused.value.reason is Reason.TASK_NOT_FOUND
        assert await read_question_state(store, asked) is QuestionState.OPEN
        answered = await store.answer(ADMIN, task.task_id, "", answer="a", user_id="", request=None)
        assert answered.state is TaskState.WORKING

    async def test_a_question_that_nobody_answers_expires(self, store: Store, committed: list[Event]) -> None:
        """S7."""
        task = await start(store)
        asked = await ask(store, task)
        question_id = asked.question.question_id
        expired = AskedQuestion(question=asked.question, state=QuestionState.EXPIRED)
        assert await store.expire_question(task.task_id, 1, question_id) == expired
        assert committed[-1].payload == QuestionExpired(question_id=question_id)
        assert await read_state(store, task) is TaskState.WORKING
        told = len(committed)
        assert await store.expire_question(task.task_id, 1, question_id) == expired
        assert len(committed) == told

    async def test_an_answer_that_was_faster_stays(self, store: Store, committed: list[Event]) -> None:
        """S7."""
        task = await start(store)
        asked = await ask(store, task)
        await reply(store, task)
        told = len(committed)
        late = await store.expire_question(task.task_id, 1, asked.question.question_id)
        assert late == AskedQuestion(question=asked.question, state=QuestionState.ANSWERED, answer="this one")
        assert len(committed) == told

    async def test_only_who_runs_a_task_asks_and_gives_up(self, store: Store, restart: Restart) -> None:
        """R11."""
        task = await start(store)
        asked = await ask(store, task)
        store = await restart()
        await claim(store, LATER_OWNER)
        question_id = asked.question.question_id
        assert await store.ask(task.task_id, 1, question_id=new_id(), text="?", seconds=1.0) == Lost()
        assert await store.expire_question(task.task_id, 1, question_id) == Lost()
        assert await store.ask(new_id(), 1, question_id=new_id(), text="?", seconds=1.0) == Lost()
        assert await read_question_state(store, asked) is QuestionState.OPEN

    async def test_a_task_that_was_taken_over_asks_again(self, store: Store, restart: Restart) -> None:
        """S7, R3: the same question, asked once, with its first time limit."""
        task = await start(store)
        asked = await ask(store, task)
        question_id = asked.question.question_id
        store = await restart()
        (claimed,) = await claim(store, LATER_OWNER)
        assert (claimed.task.state, claimed.task.questions) == (TaskState.WORKING, ())
        again = await store.ask(task.task_id, 2, question_id=question_id, text=TEXT, seconds=300.0)
        assert again == asked
        waiting = await store.get_task(ANNA, task.task_id)
        assert (waiting.state, waiting.questions) == (TaskState.INPUT_REQUIRED, (asked.question,))
        assert sum(isinstance(payload, QuestionAsked) for payload in await read_log(store, task)) == 1

    async def test_an_answer_that_came_in_between_is_found(self, store: Store, restart: Restart) -> None:
        """S7, R3."""
        task = await start(store)
        asked = await ask(store, task)
        store = await restart()
        (claimed,) = await claim(store, LATER_OWNER)
        assert (await reply(store, claimed.task)).state is TaskState.WORKING
        again = await store.ask(task.task_id, 2, question_id=asked.question.question_id, text=TEXT, seconds=300.0)
        assert again == AskedQuestion(question=asked.question, state=QuestionState.ANSWERED, answer="this one")
        assert await read_state(store, task) is TaskState.WORKING

    async def test_an_answer_does_not_start_a_task_that_waits_for_something_else(self, store: Store) -> None:
        """I7, R7."""
        task = await start(store)
        first, second = await ask(store, task), await ask(store, task)
        await store.park_for_identity(task.task_id, 1, EXPIRED)
        parked = await reply(store, task, first.question.question_id)
        assert parked.state is TaskState.AUTH_REQUIRED
        await store.renew_identity(ANNA, task.task_id, make_identity(), RENEWED, None)
        assert (await reply(store, task, second.question.question_id)).state is TaskState.SUBMITTED

    async def test_a_task_that_is_being_canceled_stays_so(self, store: Store) -> None:
        """R5."""
        task = await start(store)
        first, second = await ask(store, task), await ask(store, task)
        await store.request_cancel(ANNA, task.task_id, HARD, None)
        await reply(store, task, first.question.question_id)
        await store.expire_question(task.task_id, 1, second.question.question_id)
        late = await ask(store, task)
        canceling = await store.get_task(ANNA, task.task_id)
        assert (canceling.state, canceling.questions) == (TaskState.CANCELING, ())
        await store.write([end_canceled(task)])
        assert await read_question_state(store, late) is QuestionState.EXPIRED

    async def test_questions_of_a_task_that_ends_expire(self, store: Store) -> None:
        """S7."""
        task = await start(store)
        answered, opened = await ask(store, task), await ask(store, task)
        await reply(store, task, answered.question.question_id)
        await store.write([complete(task)])
        assert await read_question_state(store, answered) is QuestionState.ANSWERED
        assert await read_question_state(store, opened) is QuestionState.EXPIRED
        assert QuestionExpired(question_id=opened.question.question_id) not in await read_log(store, task)
        with pytest.raises(MusterdError) as refused:
            await reply(store, task, opened.question.question_id)
        assert refused.value.reason is Reason.TASK_NOT_WAITING
        assert await store.ask(task.task_id, 1, question_id=new_id(), text="?", seconds=1.0) == Lost()

    async def test_questions_of_a_parked_task_that_is_canceled_expire(self, store: Store) -> None:
        """S9."""
        root = await start(store)
        child = await start(store, make_subtask(root, owner="server-1"))
        asked = await ask(store, child)
        await store.park_for_identity(child.task_id, 1, EXPIRED)
        await store.request_cancel(ANNA, child.task_id, HARD, None)
        assert await read_question_state(store, asked) is QuestionState.EXPIRED

    async def test_a_question_that_is_not_there_is_a_lookup_error(self, store: Store) -> None:
        """S7."""
        task = await start(store)
        with pytest.raises(LookupError):
            await store.get_question(new_id())
        with pytest.raises(LookupError):
            await store.expire_question(task.task_id, 1, new_id())

    async def test_questions_are_their_tasks_own(self, store: Store) -> None:
        """R7."""
        task, other = await start(store), await start(store, make_root())
        asked = await ask(store, task)
        assert await write_one(store, say(other)) is not None
        assert (await store.get_task(ANNA, other.task_id)).questions == ()
        listed = await store.get_tasks(ANNA, [other.task_id, task.task_id])
        assert [one.questions for one in listed] == [(), (asked.question,)]
