"""World states in, plans out: admission, the language model, repair, rules, one more try."""

from __future__ import annotations

import asyncio
import logging
import time
import uuid
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any

from brain.engines.ports import (
    CancelToken,
    EngineBusy,
    EngineError,
    EngineTimeout,
    LanguageModel,
    Message,
    Priority,
    Text,
    Ticket,
)
from brain.planner.cache import Draft, Key, PlanCache, key_of
from brain.planner.guardrails import (
    allowed_gestures,
    allowed_skills,
    breach,
    looking_at_the_ball,
    without_repeats,
)
from brain.planner.options import PlanOptions
from brain.planner.prompt import plan_messages
from brain.planner.repair import PlanInvalid, has_plan, plan_of
from brain.planner.schema import PlanOutput, PlanRequest, PlanResponse, output_schema
from brain.planner.situation import Situation

log = logging.getLogger(__name__)

_ROBOTS_REMEMBERED = 1_000
# A line that comes again after so long is no repetition: a fault may be told of again.
_LINE_S = 600.0
# A model that isn't held to a schema may go on for ever; no plan is that long.
_LONGEST_ANSWER = 16_000
_SHOWN_BACK = 400


class PlanFailed(Exception):
    """The language model answered, twice, and neither answer was a plan."""


@dataclass(frozen=True)
class PlanAdmission:
    """Requests at once and since the start; `rejected` were sent away, by the planner's own gate or
    because the language model had no place."""

    max_inflight: int
    inflight: int
    admitted: int
    rejected: int


@dataclass(frozen=True)
class Planned:
    """A plan, and how long the language model took for it (s; 0 if it wasn't asked)."""

    response: PlanResponse
    engine_s: float
    cached: bool


@dataclass
class _Work:
    """A plan being made. `spare`: what was left of an answer that broke a rule."""

    engine_s: float = 0.0
    spare: PlanOutput | None = None


class Planner:
    """Makes plans with `mind`. For one event loop. `clock`: seconds, monotonic."""

    def __init__(
        self,
        mind: LanguageModel,
        options: PlanOptions | None = None,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._mind = mind
        self._options = options or PlanOptions()
        self._clock = clock
        self._cache = PlanCache(
            entries=self._options.cache_entries, seconds=self._options.cache_s, clock=clock
        )
        self._last_lines: OrderedDict[str, tuple[str, float]] = OrderedDict()
        self._inflight = 0
        self._admitted = 0
        self._rejected = 0

    @property
    def admission(self) -> PlanAdmission:
        """How the gate stands."""
        return PlanAdmission(self._options.inflight, self._inflight, self._admitted, self._rejected)

    async def plan(self, request: PlanRequest, *, cancel: CancelToken | None = None) -> Planned:
        """A plan for `request`. `cancel` ends the work, as does cancelling the task.

        Raises `EngineBusy` (the gate, or no place at the language model), `EngineTimeout`,
        `EngineUnavailable`, `EngineFailed`, `Cancelled`, and `PlanFailed`.
        """
        key = key_of(request)
        last_line = self._last_line(request.robot_id)
        draft = self._cache.find(key, last_line)
        if draft is not None:
            self._admitted += 1
            return Planned(self._response(request, draft), 0.0, cached=True)
        if self._inflight >= self._options.inflight:
            self._rejected += 1
            raise EngineBusy("As many plans as PLAN_MAX_INFLIGHT allows are being made.")
        self._admitted += 1
        self._inflight += 1
        work = _Work()
        try:
            made = await self._in_time(request, key, work, cancel or CancelToken())
        except EngineBusy:
            self._admitted -= 1
            self._rejected += 1
            raise
        finally:
            self._inflight -= 1
        draft = Draft(tuple(made.actions), made.ttl_ms, request.ball_bearing)
        if made is not work.spare:  # which is what was left of a plan; the next try may be whole
            self._cache.keep(key, draft)
        return Planned(self._response(request, draft), work.engine_s, cached=False)

    async def _in_time(
        self, request: PlanRequest, key: Key, work: _Work, cancel: CancelToken
    ) -> PlanOutput:
        ticket = Ticket(request.robot_id, Priority.PLAN, cancel=cancel)
        try:
            return await asyncio.wait_for(
                self._think(request, key, work, ticket), self._options.timeout_s
            )
        except (asyncio.TimeoutError, EngineError) as error:
            if work.spare is not None and not cancel.cancelled:
                return work.spare
            if isinstance(error, EngineError):
                raise
            raise EngineTimeout(
                f"The language model made no plan in {self._options.timeout_s:g} s."
            ) from None

    async def _think(
        self, request: PlanRequest, key: Key, work: _Work, ticket: Ticket
    ) -> PlanOutput:
        """The first answer that is a plan and breaks no rule; of the second, what breaks none."""
        options, situation = self._options, key.situation
        messages = plan_messages(request, max_actions=options.max_actions, skills=options.skills)
        schema = output_schema(
            max_actions=options.max_actions,
            skills=allowed_skills(situation, options.skills),
            gestures=allowed_gestures(situation),
        )
        temperature = options.varied_temperature if self._cache.knows(key) else None
        reason = ""
        for _ in range(2):
            text = await self._ask(messages, schema, temperature, ticket, work)
            try:
                plan = plan_of(text, max_actions=options.max_actions, skills=options.skills)
            except PlanInvalid as error:
                reason = str(error)
            else:
                reason, rest = _lawful(plan, situation)
                if not reason:
                    return plan
                work.spare = rest
            log.info("a plan for %s was refused: %s", request.robot_id, reason)
            messages = _told(messages, text, reason)
            temperature = options.varied_temperature
        if work.spare is not None:
            return work.spare
        raise PlanFailed(f"The language model gave no valid plan in two tries: {reason}.")

    async def _ask(
        self,
        messages: Sequence[Message],
        schema: Mapping[str, Any],
        temperature: float | None,
        ticket: Ticket,
        work: _Work,
    ) -> str:
        """What the model writes, up to the end of its plan."""
        text, whole = "", False
        began = self._clock()
        try:
            async with aclosing(
                self._mind.stream(messages, schema=schema, temperature=temperature, ticket=ticket)
            ) as pieces:
                async for piece in pieces:
                    if not isinstance(piece, Text):
                        continue
                    if (whole and piece.text.strip()) or len(text) > _LONGEST_ANSWER:
                        break
                    text += piece.text
                    whole = whole or ("}" in piece.text and has_plan(text))
        finally:
            work.engine_s += self._clock() - began
        return text

    def _last_line(self, robot: str) -> str:
        """What the robot said last; empty once nobody remembers it."""
        line, at = self._last_lines.get(robot, ("", 0.0))
        return line if self._clock() - at < _LINE_S else ""

    def _response(self, request: PlanRequest, draft: Draft) -> PlanResponse:
        """The draft as this robot's own plan, without the line that it said last."""
        robot = request.robot_id
        turned = looking_at_the_ball(draft.actions, at=draft.ball_bearing, request=request)
        actions = without_repeats(turned, self._last_line(robot))
        lines = Draft(tuple(actions), draft.ttl_ms).lines
        if lines:
            self._last_lines[robot] = (lines[-1], self._clock())
            self._last_lines.move_to_end(robot)
            if len(self._last_lines) > _ROBOTS_REMEMBERED:
                self._last_lines.popitem(last=False)
        return PlanResponse(
            plan_id=uuid.uuid4().hex,
            robot_id=robot,
            seq=request.seq,
            monotonic_ts_ms=request.monotonic_ts_ms,
            server_monotonic_ts_ms=int(self._clock() * 1000),
            actions=actions,
            ttl_ms=draft.ttl_ms,
        )


def _lawful(plan: PlanOutput, situation: Situation) -> tuple[str, PlanOutput]:
    """Which rules `plan` breaks, as text, and the plan without what breaks them."""
    breaches = [breach(action, situation) for action in plan.actions]
    kept = [action for action, why in zip(plan.actions, breaches, strict=True) if why is None]
    reason = "; ".join(why for why in breaches if why is not None)
    return reason, plan.model_copy(update={"actions": kept})


def _told(messages: Sequence[Message], answer: str, reason: str) -> list[Message]:
    """The conversation, gone on: the answer was refused, and why."""
    return [
        *messages,
        Message("assistant", answer[:_SHOWN_BACK].strip() or "{}"),
        Message(
            "user",
            f"That plan can't be used: {reason[:_SHOWN_BACK]}. "
            "Answer again with one JSON object, and nothing else.",
        ),
    ]
