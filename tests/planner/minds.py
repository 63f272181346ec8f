"""Scripted minds for plans, and planners in front of them on virtual time."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, Mapping, Sequence
from typing import Any

import pytest

from brain.engines.ports import (
    EngineError,
    LanguageModel,
    Message,
    Text,
    Ticket,
    ToolCall,
    ToolSpec,
)
from brain.planner.options import PlanOptions
from brain.planner.schema import PlanRequest
from brain.planner.service import PlanFailed, Planned, Planner
from tests.scripted_engines import ScriptedMind, Step
from tests.virtual_time import run_virtual

from .test_schema import SEED


class PlanMind(ScriptedMind):
    """Answers each call with the next of `answers`, in one piece, after `seconds`.

    An answer may be a plan's actions, a text, steps, or an error. `schemas` and `temperatures` keep
    what it was asked for, `tickets` by whom.
    """

    def __init__(
        self,
        *answers: list[dict[str, Any]] | str | Sequence[Step] | Exception,
        seconds: float = 0.2,
    ) -> None:
        super().__init__([_steps(answer) for answer in answers], first_seconds=seconds)
        self.schemas: list[Mapping[str, Any] | None] = []
        self.temperatures: list[float | None] = []
        self.tickets: list[Ticket] = []

    def stream(
        self,
        messages: Sequence[Message],
        *,
        tools: Sequence[ToolSpec] = (),
        schema: Mapping[str, Any] | None = None,
        temperature: float | None = None,
        max_tokens: int | None = None,
        ticket: Ticket,
    ) -> AsyncGenerator[Text | ToolCall, None]:
        self.schemas.append(schema)
        self.temperatures.append(temperature)
        self.tickets.append(ticket)
        return super().stream(messages, ticket=ticket)


def say(text: str) -> dict[str, Any]:
    return {"action": "say", "text": text}


def emote(name: str, intensity: float = 0.5) -> dict[str, Any]:
    return {"action": "emote", "name": name, "intensity": intensity}


def skill(name: str) -> dict[str, Any]:
    return {"action": "skill", "name": name}


def gesture(name: str, **params: Any) -> dict[str, Any]:
    return {"action": "gesture", "name": name, "params": params}


def plan(*actions: dict[str, Any], ttl_ms: int = 2000) -> str:
    return json.dumps({"actions": list(actions), "ttl_ms": ttl_ms})


def _steps(answer: Any) -> Any:
    if isinstance(answer, str):
        return [answer]
    if isinstance(answer, list) and all(isinstance(item, dict) for item in answer):
        return [plan(*answer)]
    return answer


# -- planners ---------------------------------------------------------------------------------


def world(**fields: Any) -> PlanRequest:
    return PlanRequest(**{**SEED, **fields})


def planner(mind: LanguageModel, **options: Any) -> Planner:
    return Planner(mind, PlanOptions(**options), clock=asyncio.get_running_loop().time)


def done(planned: Planned) -> list[dict[str, Any]]:
    return [action.model_dump() for action in planned.response.actions]


def one(mind: LanguageModel, request: PlanRequest | None = None, **options: Any) -> Planned:
    async def main() -> Planned:
        return await planner(mind, **options).plan(request or world())

    return run_virtual(main())


def error_of(mind: LanguageModel, **options: Any) -> Exception:
    with pytest.raises((EngineError, PlanFailed)) as raised:
        one(mind, **options)
    return raised.value
