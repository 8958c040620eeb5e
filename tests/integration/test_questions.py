"""Questions that children ask: who answers them, when they close, and what the asking agent reads."""

import asyncio
from typing import Any

import pytest
from tests.support.stage import Stage, ask, at, do, pause, task, wait
from tests.support.tokens import AUTH, token
from tests.support.trees import log_of, only_child_of

from musterd.testing import serve
from musterd_client import (
    CancelMode,
    MusterdClient,
    NotFoundError,
    PreconditionFailedError,
    QuestionAnswered,
    QuestionAsked,
    QuestionExpired,
    Run,
    SubtaskStarted,
    Task,
    TaskState,
    WaitMode,
)

WHICH = do(ask("which?"))
BOTH = do([ask("size?"), ask("color?")])


async def asking(client: MusterdClient, run: Run, *, questions: int = 1) -> Task:
    """Return the child of a run once it asks so much."""
    asked = 0
    async for event in run:
        asked += isinstance(event, QuestionAsked)
        if asked == questions:
            return await only_child_of(client, run.task.task_id)
    raise AssertionError("the run ended before it asked")


@pytest.mark.parametrize("mode", ["sync", "async"])
async def test_a_question_waits_for_an_answer_from_outside(mode: str) -> None:
    """S7, R7: also that of a child in sync mode whose application has no ask_user."""
    stage = Stage()
    plan = do(task(WHICH, mode), at("boss"), *([wait("@0")] if mode == "async" else []))
    async with serve(stage.app()) as client, client.run_agent("boss", plan) as run:
        child = await asking(client, run)
        assert child.state is TaskState.INPUT_REQUIRED
        assert [question.text for question in child.questions] == ["which?"]
        answered = await client.tasks.answer(child.task_id, "the left one")
        assert (answered.state, answered.questions) == (TaskState.WORKING, ())
        stage.gates["boss"].open()
        result = await run.result()
    assert result.text.endswith("the left one")


async def test_a_question_stays_open_for_five_minutes_unless_told_otherwise() -> None:
    """S7."""
    stage = Stage()
    async with serve(stage.app()) as client, client.run_agent("boss", do(task(WHICH), wait("@0"), "done")) as run:
        (question,) = (await asking(client, run)).questions
        await run.result()
    assert question.create_time is not None
    assert question.expire_time is not None
    assert (question.expire_time - question.create_time).total_seconds() == 300


async def test_a_question_that_nobody_answers_is_given_up_when_its_time_is_over() -> None:
    """S7: the child reads so, and goes on."""
    stage = Stage()
    toolset = stage.delegating(ask_timeout_seconds=0.01)
    async with serve(stage.app(toolset)) as client:
        result = await client.run_agent("boss", do(task(WHICH, "sync"))).result()
        child = await only_child_of(client, result.task.task_id)
        log = await log_of(client, result.task.task_id)
        with pytest.raises(PreconditionFailedError) as refused:
            await client.tasks.answer(child.task_id, "too late")
    assert result.text == "Error: Parent did not respond in time"
    assert [type(event) for event in log if event.kind.startswith("question")] == [QuestionAsked, QuestionExpired]
    assert refused.value.reason == "TASK_NOT_WAITING"


@pytest.mark.parametrize("by", ["the parent", "a client"])
async def test_two_questions_in_one_response_both_get_their_answers(by: str) -> None:
    """S7: in any order; the child goes on when it has both."""
    stage = Stage()
    plan = do(task(BOTH), at("answer"), *_answers(by), wait("@0"))
    async with serve(stage.app()) as client, client.run_agent("boss", plan) as run:
        child = await asking(client, run, questions=2)
        open_questions = {question.text: question.question_id for question in child.questions}
        assert open_questions.keys() == {"size?", "color?"}
        if by == "a client":
            half = await client.tasks.answer(child.task_id, "red", open_questions["color?"])
            assert (half.state, len(half.questions)) == (TaskState.INPUT_REQUIRED, 1)
            assert (await client.tasks.answer(child.task_id, "big")).state is TaskState.WORKING
        stage.gates["answer"].open()
        result = await run.result()
        log = await log_of(client, result.task.task_id)
    answers = {event.question_id: event.answer for event in log if isinstance(event, QuestionAnswered)}
    assert sorted(answers.values()) == ["big", "red"]
    said = [answers[open_questions["size?"]], answers[open_questions["color?"]]]
    assert result.text.endswith("COMPLETED\n" + "\n---\n".join(said))


def _answers(by: str) -> list[Any]:
    if by == "a client":
        return []
    return [[("answer_subagent", {"task_id": "@0", "answer": answer}) for answer in ("big", "red")]]


async def test_of_several_questions_an_answer_must_name_its_own() -> None:
    """R7 (refusal): the refusal lists their ids."""
    stage = Stage()
    plan = do(task(BOTH, "sync"))
    async with serve(stage.app()) as client, client.run_agent("boss", plan) as run:
        child = await asking(client, run, questions=2)
        with pytest.raises(PreconditionFailedError, match=child.questions[0].question_id) as refused:
            await client.tasks.answer(child.task_id, "big")
        for question in child.questions:
            await client.tasks.answer(child.task_id, f"re: {question.text}", question.question_id)
        result = await run.result()
    assert refused.value.reason == "TASK_NOT_WAITING"
    assert result.text == "re: size?\n---\nre: color?"


async def test_an_answer_counts_once() -> None:
    """R7, R8: the same call again tells the same; another one is told that nothing is open."""
    stage = Stage()
    plan = do(task(do(ask("which?"), at("work"), "did it"), "sync"))
    async with serve(stage.app()) as client, client.run_agent("boss", plan) as run:
        child = await asking(client, run)
        (question,) = child.questions
        first = await client.tasks.answer(child.task_id, "left", question.question_id, request_id="a-1")
        again = await client.tasks.answer(child.task_id, "left", question.question_id, request_id="a-1")
        assert (first.task_id, first.state, again.state) == (child.task_id, TaskState.WORKING, TaskState.WORKING)
        with pytest.raises(PreconditionFailedError) as other:
            await client.tasks.answer(child.task_id, "right", question.question_id, request_id="a-2")
        with pytest.raises(PreconditionFailedError) as reused:
            await client.tasks.answer(child.task_id, "right", question.question_id, request_id="a-1")
        stage.gates["work"].open()
        await run.result()
        log = await log_of(client, run.task.task_id)
    assert (other.value.reason, reused.value.reason) == ("TASK_NOT_WAITING", "REQUEST_ID_REUSED")
    assert [event.answer for event in log if isinstance(event, QuestionAnswered)] == ["left"]


async def test_a_task_in_mid_work_takes_no_answer() -> None:
    """R7 (refusal)."""
    stage = Stage()
    async with serve(stage.app()) as client, client.run_agent("boss", do(task(do(at("w"), "did it"), "sync"))) as run:
        await stage.gates["w"].reached.wait()
        child = await only_child_of(client, run.task.task_id)
        with pytest.raises(PreconditionFailedError) as refused:
            await client.tasks.answer(child.task_id, "left")
        stage.gates["w"].open()
        await run.result()
    assert refused.value.reason == "TASK_NOT_WAITING"


async def test_a_canceled_task_takes_no_answer() -> None:
    """R7 (refusal), S9: its question is not open any more."""
    stage = Stage()
    async with serve(stage.app()) as client, client.run_agent("boss", do(task(WHICH, "sync"), "done")) as run:
        child = await asking(client, run)
        canceled = await client.tasks.cancel(child.task_id, mode=CancelMode.HARD)
        assert canceled.task.questions == ()
        with pytest.raises(PreconditionFailedError) as refused:
            await client.tasks.answer(child.task_id, "left", child.questions[0].question_id)
        await run.result()
    assert refused.value.reason == "TASK_NOT_WAITING"


async def test_a_child_that_waits_for_an_answer_is_canceled_softly_at_once() -> None:
    """S9, R5: it is between two steps, and nobody needs the answer any more."""
    stage = Stage()
    async with serve(stage.app()) as client, client.run_agent("boss", do(task(WHICH, "sync"), "done")) as run:
        child = await asking(client, run)
        await client.tasks.cancel(child.task_id, grace_seconds=3_000)
        assert (await run.result()).text == "done"
        ended = await client.tasks.status(child.task_id)
    assert (ended.state, ended.questions, stage.seen_of(WHICH)) == (TaskState.CANCELED, (), 1)


async def test_a_task_has_so_many_questions_and_no_more() -> None:
    """S7: also when it asks several at once; the limit itself is allowed."""
    stage = Stage()
    toolset = stage.delegating(stage.worker(max_questions=2))
    plan = do(task(do([ask("one?"), ask("two?"), ask("three?")], ask("four?")), "sync"))
    async with serve(stage.app(toolset)) as client, client.run_agent("boss", plan) as run:
        child = await asking(client, run, questions=2)
        for question in child.questions:
            await client.tasks.answer(child.task_id, f"re: {question.text}", question.question_id)
        result = await run.result()
        log = await log_of(client, run.task.task_id)
    first, second, *refused = result.text.split("\n---\n")
    assert [first, second] == ["re: one?", "re: two?"]
    assert [text.split(".")[0] for text in refused] == ["Error: question limit reached (2 for this task)"] * 2
    assert sum(isinstance(event, QuestionAsked) for event in log) == 2


async def test_a_child_that_may_not_ask_has_no_such_tool() -> None:
    """S2, S7."""
    stage = Stage()
    toolset = stage.delegating(stage.worker(can_ask_questions=False))
    async with serve(stage.app(toolset)) as client:
        result = await client.run_agent("boss", do(task(WHICH, "sync"))).result()
        log = await log_of(client, result.task.task_id)
    assert "ask_parent" in result.text
    assert not any(isinstance(event, QuestionAsked) for event in log)


async def test_in_sync_mode_the_application_answers() -> None:
    """S7: through its callback; the task never waits for anybody else."""
    stage = Stage()
    asked: list[str] = []

    async def ask_user(question: str) -> str:
        asked.append(question)
        return "the user says so"

    async with serve(stage.app(stage.delegating(ask_user=ask_user))) as client:
        result = await client.run_agent("boss", do(task(WHICH, "sync"))).result()
        log = await log_of(client, result.task.task_id)
    assert (result.text, asked) == ("the user says so", ["which?"])
    assert not any(isinstance(event, QuestionAsked) for event in log)


async def test_in_async_mode_the_parent_answers_although_the_application_could() -> None:
    """S7."""
    stage = Stage()

    async def ask_user(_: str) -> str:
        raise AssertionError("nobody is to ask the user")

    answer = ("answer_subagent", {"task_id": "@0", "answer": "the left one"})
    plan = do(task(WHICH), wait("@0"), answer, wait("@0"))
    async with serve(stage.app(stage.delegating(ask_user=ask_user))) as client:
        text = (await client.run_agent("boss", plan).result()).text
    assert text.endswith("COMPLETED\nthe left one")


async def test_waiting_for_tasks_ends_when_one_asks() -> None:
    """S6, R4: within the run and from outside, although others are not done."""
    stage = Stage()
    plan = do([task(do(at("slow"), "slow")), task(do(at("ask"), ask("which?")))], at("boss"), wait("@0", "@1"))
    async with serve(stage.app()) as client, client.run_agent("boss", plan) as run:
        ids = await first_subtasks(run, 2)
        waiting = asyncio.create_task(client.tasks.wait(ids, mode=WaitMode.ALL))
        stage.gates["ask"].open()
        waited = await waiting
        stage.gates["boss"].open()
        result = await run.result()
    (asking_id,) = waited.input_required_task_ids
    assert not waited.timed_out
    assert set(waited.pending_task_ids) >= set(ids) - {asking_id}
    assert f"{asking_id} (worker): waiting_for_answer\nQuestion: which?" in result.text


async def first_subtasks(run: Run, number: int) -> list[str]:
    """Return the ids of so many tasks that a run starts."""
    found: list[str] = []
    async for event in run:
        if isinstance(event, SubtaskStarted):
            found.append(event.subtask_id)
        if len(found) == number:
            break
    return found


async def test_a_question_shows_only_to_those_who_see_the_task() -> None:
    """R7, I5 (refusal): for all others there is no such task."""
    stage = Stage()
    async with (
        serve(stage.app(), auth=AUTH, token=token("ada")) as client,
        client.run_agent("boss", do(task(WHICH, "sync"))) as run,
        MusterdClient(client.target, token=token("bob")) as stranger,
        MusterdClient(client.target, token=token("ada", tenant="other")) as foreigner,
    ):
        child = await asking(client, run)
        for other in (stranger, foreigner):
            with pytest.raises(NotFoundError) as refused:
                await other.tasks.answer(child.task_id, "left")
            assert refused.value.reason == "TASK_NOT_FOUND"
        await client.tasks.answer(child.task_id, "right")
        assert (await run.result()).text == "right"


async def test_an_answer_wakes_the_one_question_it_is_for() -> None:
    """S7: while another tool of the same response still runs."""
    stage = Stage()
    work = do([ask("which?"), pause("work")])
    async with serve(stage.app()) as client, client.run_agent("boss", do(task(work, "sync"))) as run:
        child = await asking(client, run)
        await stage.gates["work"].reached.wait()
        answered = await client.tasks.answer(child.task_id, "left")
        assert answered.state is TaskState.WORKING
        stage.gates["work"].open()
        assert (await run.result()).text == "left\n---\npassed work"
