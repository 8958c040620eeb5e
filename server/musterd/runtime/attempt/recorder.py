"""The step journal of one attempt: what is stored is played again, what happens anew is recorded and told."""

from collections.abc import Collection, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from typing import Any

from pydantic_ai.messages import ModelResponse, TextPart
from pydantic_ai.usage import RequestUsage, RunUsage

from musterd.domain.clock import Clock
from musterd.domain.errors import MusterdError, Reason
from musterd.domain.event import (
    DeltaEvent,
    ModelRequestCompleted,
    ModelRequestStarted,
    Payload,
    RestartCause,
    RetryScheduled,
    Steered,
    StepRestarted,
)
from musterd.domain.orders import Steer
from musterd.domain.step import Journal, ModelStep, ToolStatus, ToolStep
from musterd.domain.task import TaskState, Usage
from musterd.runtime.attempt.journal import (
    dump_request_usage,
    dump_response,
    load_request_usage,
    load_response,
    usage_of,
    usage_of_request,
)
from musterd.runtime.attempt.retry import retry_delay_seconds
from musterd.runtime.budgets import TaskBudget
from musterd.runtime.feed.log import RunLog
from musterd.runtime.limits import Limits
from musterd.subagents.retry import RetryConfig

RUN_ENDED = "musterd-run-ended"
"""Under this name the journal holds that an agent's run ended with a step, of several runs within one task."""


@dataclass(slots=True)
class _Request:
    """The model request that is under way."""

    steer_ids: tuple[str, ...] = ()
    extra_usage: RequestUsage = field(default_factory=RequestUsage)
    has_deltas: bool = False


class StepRecorder:
    """Numbers the steps of one attempt, and decides for each whether it is played again or recorded.

    `usage` is the run's own usage object, shared with pydantic-ai. `partial` is the response that was cut off last.
    `spent` is what the task had spent when the attempt began.
    """

    def __init__(
        self,
        log: RunLog,
        journal: Journal,
        steers: dict[str, Steer],
        *,
        budget: TaskBudget,
        spent: Usage,
        clock: Clock,
        limits: Limits,
        retry: RetryConfig,
    ) -> None:
        self.step = 0
        self.usage = RunUsage()
        self.partial: ModelResponse | None = None
        self._partial_usage = RequestUsage()
        self.log = log
        self._journal = journal
        self._steers = steers
        self._clock = clock
        self._limits = limits
        self._budget = budget
        self._spent = spent
        self._retry = retry
        self._new_steers: tuple[Steer, ...] = ()
        self._request = _Request()

    def steers_of_step(self, step: int) -> tuple[Steer, ...]:
        """Return the messages that the stored request number `step` was the first to hold."""
        stored = self._journal.model_steps.get(step)
        return tuple(self._steers[steer_id] for steer_id in stored.steer_ids) if stored is not None else ()

    def is_stored(self, step: int) -> bool:
        """Whether the journal knows request number `step`, finished or not."""
        return step in self._journal.model_steps

    def is_finished(self, step: int) -> bool:
        """Whether the journal holds the response of request number `step`."""
        stored = self._journal.model_steps.get(step)
        return stored is not None and bool(stored.response_json)

    def tool_step(self, tool_call_id: str) -> ToolStep | None:
        """Return what the journal knows of a call of the current response."""
        return self._journal.tool_steps.get((self.step, tool_call_id))

    def tool_steps(self) -> Sequence[ToolStep]:
        """Return what the journal knows of all calls of the current response."""
        return [step for (number, _), step in self._journal.tool_steps.items() if number == self.step]

    def hold_steers(self, steers: tuple[Steer, ...]) -> None:
        """Note messages that the next request will be the first to hold."""
        self._new_steers += steers

    def begin_request(self, model_name: str, tool_names: Collection[str]) -> ModelResponse | None:
        """Start the next request. Returns its response when that is stored: then the model is not asked.

        Raises MusterdError TASK_LOST when the stored response calls a tool that the component no longer has.
        """
        self.step += 1
        stored = self._journal.model_steps.get(self.step)
        request = self._request = _Request()
        self.charge_all(self.total_usage())
        if stored is None or not stored.response_json:
            self._budget.tree.check()
        if stored is None:
            request.steer_ids = tuple(steer.steer_id for steer in self._new_steers)
            self._say_started(ModelRequestStarted(step=self.step, model=model_name))
            return None
        request.extra_usage = load_request_usage(stored.extra_usage_json)
        self.usage.incr(request.extra_usage)
        if stored.response_json:
            self._check_tools(stored, tool_names)
            return load_response(stored.response_json)
        request.steer_ids = (*stored.steer_ids, *(steer.steer_id for steer in self._new_steers))
        self._say_started(StepRestarted(step=self.step, cause=RestartCause.RECOVERY))
        return None

    def _say_started(self, opening: Payload) -> None:
        steers, self._new_steers = self._new_steers, ()
        steered = [
            Steered(steer_id=steer.steer_id, step=self.step, message=steer.message, user_id=steer.user_id)
            for steer in steers
        ]
        self.log.say(
            *steered,
            opening,
            step=self._model_step(),
            applied_steer_ids=tuple(steer.steer_id for steer in steers),
            can_wait=not steers,
        )

    def _model_step(self, response_json: bytes = b"", known_tools: tuple[str, ...] = ()) -> ModelStep:
        return ModelStep(
            step=self.step,
            response_json=response_json,
            steer_ids=self._request.steer_ids,
            extra_usage_json=dump_request_usage(self._request.extra_usage),
            known_tools=known_tools,
        )

    def _check_tools(self, stored: ModelStep, tool_names: Collection[str]) -> None:
        missing = [name for name in stored.known_tools if name not in tool_names]
        if missing:
            raise MusterdError(
                reason=Reason.TASK_LOST,
                message=f"the component no longer has the tool {missing[0]!r}, which this task has called",
                cause="COMPONENT_CHANGED",
            )

    def delta(self, delta: DeltaEvent) -> bool:
        """Tell a piece of the response. Returns True when the log's backlog asks for `relieve`."""
        self._request.has_deltas = True
        self.log.delta(delta)
        return self.log.backlog >= self._limits.backlog_max_events

    async def relieve(self) -> None:
        """Wait until the backlog is stored: a store that is slow or away holds the model's stream, not our memory."""
        await self.log.commit()

    def keep_partial(self, response: ModelResponse, usage: RequestUsage) -> None:
        """Keep what there is of a response that is cut off."""
        self.partial, self._partial_usage = response, usage

    def fail_try(self, error: Exception, attempt: int) -> float | None:
        """Take note of a failed try. Returns how long to wait before the next, None when there is to be none."""
        delay_seconds = retry_delay_seconds(error, attempt, self._retry)
        if delay_seconds is None:
            return None
        self._request.extra_usage = self._request.extra_usage + self._partial_usage
        self.usage.incr(self._partial_usage)
        self.partial, self._partial_usage = None, RequestUsage()
        spent = self.total_usage()
        self.charge_all(spent)
        self.log.say(
            RetryScheduled(
                step=self.step, attempt=attempt, delay_seconds=delay_seconds, message=public_message_of(error)
            ),
            step=self._model_step(),
            state=TaskState.RETRYING,
            usage=spent,
        )
        return delay_seconds

    def charge_all(self, usage: Usage) -> None:
        """Charge the tree for what the task has spent in all, as far as it was not charged yet."""
        self._budget.charge_up_to(usage)

    def tool_call(self, *, is_new: bool) -> AbstractContextManager[None]:
        """Charge the tree for a tool call. Raises MusterdError USAGE_LIMIT_EXCEEDED for a new one too many."""
        return self._budget.tool_call(is_new=is_new)

    async def wait_for_retry(self, delay_seconds: float) -> None:
        """Wait, then go back to work on the same step."""
        await self._clock.sleep(delay_seconds)
        voided = (StepRestarted(step=self.step, cause=RestartCause.RETRY),) if self._request.has_deltas else ()
        self._request.has_deltas = False
        self.log.say(*voided, state=TaskState.WORKING)

    def complete_request(self, response: ModelResponse, tool_names: Collection[str]) -> None:
        """Record the response. It is stored with what is stored next, and always before a tool of it may run.

        A response that calls no tool is most often the last: it waits a moment for the end of the run.
        """
        self.partial, self._partial_usage = None, RequestUsage()
        # pydantic-ai counts a response after this.
        spent = replace(usage_of(self.usage, response.usage), requests=self.usage.requests + 1)
        self.charge_all(spent)
        called = dict.fromkeys(call.tool_name for call in response.tool_calls)
        known_tools = tuple(name for name in called if name in tool_names)
        self.log.say(
            ModelRequestCompleted(
                step=self.step,
                model=response.model_name or "",
                usage=usage_of_request(response.usage),
                finish_reason=response.finish_reason or "",
            ),
            step=self._model_step(dump_response(response), known_tools),
            # Without a call the end of the run stores it too.
            usage=spent if called else None,
            can_wait=True,
        )

    def record_tool(self, step: ToolStep, *payloads: Payload) -> None:
        """Record how far a tool call got, with what is to be told about it."""
        self.log.say(*payloads, step=step)

    def note(self, name: str, outcome_json: bytes = b"") -> None:
        """Record something about the current step that is no call of a tool; `tool_step` knows it by its name."""
        status = ToolStatus.RETURNED
        self.log.say(
            step=ToolStep(step=self.step, tool_call_id=name, tool_name=name, status=status, outcome_json=outcome_json)
        )

    def tell(self, payload: Payload) -> None:
        """Tell something that is no step."""
        self.log.say(payload)

    async def commit(self) -> None:
        """Return once all that was recorded is stored."""
        await self.log.commit()

    def total_usage(self) -> Usage:
        """Return what the run spent so far, a cut-off response included; before a replay is through, what is stored."""
        return usage_of(self.usage, self._partial_usage).at_least(self._spent)

    def partial_text(self) -> str:
        """Return the text of the response that was cut off last; empty when there is none."""
        parts = self.partial.parts if self.partial is not None else ()
        return "".join(part.content for part in parts if isinstance(part, TextPart))


def cut_off_tool(journal: Journal) -> ToolStep | None:
    """Return a tool call that started, did not finish and must not run again; None when there is none."""
    for step in journal.tool_steps.values():
        if step.status is ToolStatus.STARTED and not step.repeatable:
            return step
    return None


def public_message_of(error: Any) -> str:
    """Return what a caller may read about a failed model request: its kind and status, not the provider's words."""
    status_code = getattr(error, "status_code", None)
    return f"{type(error).__name__.removeprefix('_HTTP')}" + (f" (HTTP {status_code})" if status_code else "")
