"""Measures a mind: the repertoire, unseen wordings, conversations, tool calls and plans."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import Any

from brain.engines.ports import (
    EngineError,
    LanguageModel,
    Message,
    Priority,
    Text,
    Ticket,
    ToolCall,
    ToolSpec,
)
from brain.ops import check_plans
from brain.ops.check_data import Evaluation, Row, sample
from brain.ops.check_figures import Figure, share
from brain.ops.check_replies import Answer, CallCount, Judge, plain

_REPLY_TOKENS = 120
_PLAN_TOKENS = 400


@dataclass(frozen=True)
class MindTexts:
    """The product's own prompts, given from outside because they belong to other rooms.

    instructions: the built-in character; mood_line: asks for mood tags; idle_note: the turn of an
    idle signal after some seconds; split_mood: mood (None without one) and the rest of a reply;
    plan_messages: the prompt for a request to `/plan`; plan_schema: JSON Schema of an answer;
    plan_actions: the actions of an answer (raises `ValueError` for one that isn't valid).
    """

    instructions: str
    mood_line: str
    idle_note: Callable[[float], str]
    split_mood: Callable[[str], tuple[str | None, str]]
    plan_messages: Callable[[Row], Sequence[Message]]
    plan_schema: Mapping[str, Any]
    plan_actions: Callable[[str], Sequence[check_plans.Action]]


@dataclass(frozen=True)
class Sizes:
    """How many of each set are tried; None is all."""

    repertoire: int | None = None
    unseen: int | None = None
    alike: int | None = None
    conversations: int | None = None
    plans: int | None = None


@dataclass
class MindCheck:
    """One check of one mind. `tick` is called after every case, for progress."""

    mind: LanguageModel
    texts: MindTexts
    data: Evaluation
    judge: Judge
    tick: Callable[[], None] = lambda: None
    calls: CallCount = field(default_factory=CallCount)
    first_ms: list[float] = field(default_factory=list)
    whole_ms: list[float] = field(default_factory=list)

    async def figures(self, sizes: Sizes, heard: Sequence[tuple[Row, str]] = ()) -> list[Figure]:
        """Everything that is measured of a mind.

        heard: rows of the repertoire with what the ears wrote when they were spoken.
        """
        data = self.data
        known = {plain(row["text"]) for row in data.repertoire}
        spoken = [row for row in data.unseen if "text" in row]
        fresh = [
            row
            for row in spoken
            if row["id"] not in data.trained and plain(row["text"]) not in known
        ]
        alike = [row for row in spoken if row not in fresh]
        idle = [row for row in data.unseen if "idle_s" in row]
        found = [
            await self._said("mind.repertoire", "mind: repertoire, typed",
                             sample(data.repertoire, sizes.repertoire)),
            await self._said("mind.unseen", "mind: wordings never trained on",
                             sample(fresh, sizes.unseen)),
            await self._said("mind.alike", "mind: held out, but trained all the same",
                             sample(alike, sizes.alike)),
            await self._said("mind.idle", "mind: idle, tool calls only", idle),
            await self._conversations(sample(data.conversations, sizes.conversations)),
            *await self._plans(sample(data.plans, sizes.plans)),
        ]  # fmt: skip
        if heard:
            rows = [{**row, "text": text} for row, text in heard]
            label = "mind: repertoire, as the ears wrote it"
            found.insert(1, await self._said("mind.heard", label, rows))
        valid = self.calls.made - len(self.calls.invalid)
        found.append(
            share("mind.calls_valid", "mind: tool calls valid and offered", valid,
                  self.calls.made, self.calls.invalid)
        )  # fmt: skip
        for key, label, times in (
            ("mind.first_ms", "mind: time to first token, median", self.first_ms),
            ("mind.reply_ms", "mind: whole reply, median", self.whole_ms),
        ):
            value = median(times) if times else float("nan")
            found.append(Figure(key, label, value, "ms", len(times), more_is_better=False))
        return found

    async def _said(self, key: str, label: str, rows: Sequence[Row]) -> Figure:
        misses = []
        for row in rows:
            text = row["text"] if "text" in row else self.texts.idle_note(row["idle_s"])
            history = [*self._opening(row), Message("user", text)]
            answer = await self._answer(history, row)
            fault = self._fault(row["expect"], answer, row)
            if fault is not None:
                misses.append(f"{text!r}: {fault}, wanted {_wanted(row['expect'])}")
            self.tick()
        return share(key, label, len(rows) - len(misses), len(rows), misses)

    async def _conversations(self, rows: Sequence[Row]) -> Figure:
        misses = []
        for row in rows:
            fault = await self._conversation_fault(row)
            if fault is not None:
                misses.append(f"{row['id']}: {fault}")
            self.tick()
        label = "mind: three-turn conversations"
        return share("mind.conversations", label, len(rows) - len(misses), len(rows), misses)

    async def _conversation_fault(self, row: Row) -> str | None:
        history = self._opening(row)
        said = ""
        for number, turn in enumerate(row["turns"], start=1):
            history.append(Message("user", turn["user"]))
            answer = await self._answer(history, row)
            fault = self._fault(turn["expect"], answer, row, said)
            if fault is None and "result" in turn:
                call = answer.calls[0]
                made = ToolCall(call.name, call.arguments, f"call_{number}")
                result = turn["result"]
                text = result if isinstance(result, str) else json.dumps(result)
                history += [
                    Message("assistant", "", tool_calls=(made,)),
                    Message("tool", text, call_id=made.call_id, name=made.name),
                ]
                answer = await self._answer(history, row)
                fault = self._fault(turn["after"], answer, row, said)
            if fault is not None:
                return f"{turn['user']!r}: {fault}"
            said = answer.text
            tag = f"[{answer.mood}] " if answer.mood else ""
            history.append(Message("assistant", tag + answer.text))
        return None

    async def _plans(self, rows: Sequence[Row]) -> list[Figure]:
        faults: dict[str, str | None] = {}
        for row in rows:
            faults[row["id"]] = await self._plan_fault(row)
            self.tick()
        found = []
        for key, label, ids in (
            ("mind.plans", "mind: plans that make sense", list(faults)),
            ("mind.plans_unlike", "mind: of these, states unlike any trained",
             [name for name in faults if name not in self.data.trained]),
        ):  # fmt: skip
            misses = [f"{name}: {faults[name]}" for name in ids if faults[name] is not None]
            found.append(share(key, label, len(ids) - len(misses), len(ids), misses))
        return found

    async def _plan_fault(self, row: Row) -> str | None:
        pieces: list[str] = []
        try:
            stream = self.mind.stream(
                self.texts.plan_messages(row["state"]), schema=self.texts.plan_schema,
                temperature=0.0, max_tokens=_PLAN_TOKENS, ticket=Ticket("check", Priority.PLAN),
            )  # fmt: skip
            pieces += [piece.text async for piece in stream if isinstance(piece, Text)]
            actions = self.texts.plan_actions("".join(pieces))
        except (EngineError, ValueError) as error:
            return "no plan: " + " ".join(str(error).split())[:160]
        broken = check_plans.faults(row["checks"], actions)
        return f"{'; '.join(broken)} in {json.dumps(list(actions))}" if broken else None

    def _opening(self, row: Row) -> list[Message]:
        system = row.get("system") or self.texts.instructions
        if row.get("moods"):
            system = f"{system}\n{self.texts.mood_line}"
        return [Message("system", system)]

    def _tools(self, row: Row) -> list[ToolSpec]:
        return [self.data.tools[name] for name in row.get("tools", ())]

    def _fault(self, expect: Row, answer: Answer, row: Row, said: str = "") -> str | None:
        fault = self.judge.fault(expect, answer, said_before=said, offered=row.get("tools", ()))
        if fault is None and row.get("moods") and answer.text and answer.mood is None:
            return "no mood"
        return fault

    async def _answer(self, history: Sequence[Message], row: Row) -> Answer:
        """What the mind says to `history`."""
        tools = self._tools(row)
        pieces: list[str] = []
        calls: list[ToolCall] = []
        began = time.perf_counter()
        first: float | None = None
        failure: str | None = None
        try:
            async for piece in self.mind.stream(
                history, tools=tools, temperature=0.0, max_tokens=_REPLY_TOKENS,
                ticket=Ticket("check"),
            ):  # fmt: skip
                if first is None:
                    first = time.perf_counter()
                if isinstance(piece, Text):
                    pieces.append(piece.text)
                else:
                    calls.append(piece)
        except EngineError as error:
            failure = str(error)
        ended = time.perf_counter()
        if first is not None:
            self.first_ms.append(1000 * (first - began))
        self.whole_ms.append(1000 * (ended - began))
        text = "".join(pieces).strip()
        mood, text = self.texts.split_mood(text) if row.get("moods") else (None, text)
        answer = Answer(text.strip(), tuple(calls), mood, failure)
        self.calls.add(answer, tools)
        return answer


def _wanted(expect: Row) -> str:
    if "call" in expect:
        return f"{expect['call']['name']}({json.dumps(expect['call']['arguments'])})"
    return str(expect.get("matches") or expect.get("reply") or next(iter(expect)))
