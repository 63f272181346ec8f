"""Judges what a mind answered against what was expected. Pure; forms in evaluation/README.md.

With `exact` a reply must be one of the sentences that the pocket mind was taught for its kind. A
mind that words its replies freely can't be judged so: then only its tool calls are, and that it
says something where something is to be said.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from brain.engines.llm import schema_check
from brain.engines.ports import ToolCall, ToolSpec

Replies = Mapping[str, Sequence[str]]
_SLOT = re.compile(r"\{(\w+)\}")
# What a robot may do by itself when it is idle.
IDLE_TOOLS = frozenset({"do_nothing", "dance", "play_emotion", "move_head"})


@dataclass(frozen=True)
class Answer:
    """What a mind answered: its words without mood tags, its mood if it gave one, its calls.

    error: why there is no answer, where the engine failed.
    """

    text: str
    calls: tuple[ToolCall, ...] = ()
    mood: str | None = None
    error: str | None = None


@dataclass(frozen=True)
class Judge:
    """Tells right answers from wrong ones. `replies`: sentences by kind, with `{slots}`."""

    replies: Replies
    exact: bool = True

    def fault(
        self, expect: Mapping[str, Any], answer: Answer, *, said_before: str = "",
        offered: Iterable[str] = (),
    ) -> str | None:  # fmt: skip
        """None if `answer` is right, else what is wrong with it."""
        if answer.error is not None:
            return f"failed: {answer.error}"
        if "call" in expect:
            return _call_fault(expect["call"], answer)
        if "idle" in expect:
            return _idle_fault(answer, frozenset(offered) & IDLE_TOOLS)
        if answer.calls:
            return f"called {_written(answer)}"
        if not answer.text.strip():
            return "said nothing"
        if not self.exact:
            return None
        said = plain(answer.text)
        if expect.get("repeat"):
            return None if said == plain(said_before) else f"said {answer.text!r}"
        wanted = expect.get("matches")
        if wanted is not None:
            return None if said == wanted else f"said {answer.text!r}"
        slots = expect.get("slots", {})
        fits = any(fills(pattern, said, slots) for pattern in self.replies[expect["reply"]])
        return None if fits else f"said {answer.text!r}"


def plain(text: str) -> str:
    """Lower case, letters and digits only, words apart by one blank."""
    return " ".join(re.sub(r"[\W_]+", " ", text.lower().replace("'", "")).split())


def fills(pattern: str, said: str, slots: Mapping[str, str]) -> bool:
    """Whether `said` (plain) is `pattern` with its `{slots}` filled; an unnamed slot takes any."""
    parts = _SLOT.split(pattern)
    written = [
        plain(part) if i % 2 == 0 else (plain(slots[part]) if part in slots else None)
        for i, part in enumerate(parts)
    ]
    regex = r"\s*".join(".+" if w is None else re.escape(w) for w in written)
    return re.fullmatch(regex, said) is not None


def _call_fault(wanted: Mapping[str, Any], answer: Answer) -> str | None:
    if len(answer.calls) != 1:
        return f"{'called ' + _written(answer) if answer.calls else 'said ' + repr(answer.text)}"
    if answer.text.strip():
        return f"spoke before its call: {answer.text!r}"
    call = answer.calls[0]
    given = json.loads(call.arguments)
    same = call.name == wanted["name"] and given.keys() == wanted["arguments"].keys()
    if same and all(v in ("*", given[k]) for k, v in wanted["arguments"].items()):
        return None
    return f"called {_written(answer)}"


def _idle_fault(answer: Answer, allowed: frozenset[str]) -> str | None:
    if answer.text.strip():
        return f"said {answer.text!r}"
    if any(call.name not in allowed for call in answer.calls):
        return f"called {_written(answer)}"
    return "did nothing" if allowed and not answer.calls else None


def _written(answer: Answer) -> str:
    return ", ".join(f"{c.name}({c.arguments})" for c in answer.calls)


def call_is_valid(call: ToolCall, tools: Sequence[ToolSpec]) -> bool:
    """Whether `call` names an offered tool and its arguments fit that tool's schema.

    Stricter than a schema alone: an argument that the tool doesn't name is not valid.
    """
    tool = next((t for t in tools if t.name == call.name), None)
    if tool is None:
        return False
    try:
        given = json.loads(call.arguments)
    except ValueError:
        return False
    known = tool.parameters.get("properties", {})
    return (
        isinstance(given, dict)
        and given.keys() <= known.keys()
        and schema_check.problem(given, tool.parameters) is None
    )


@dataclass
class CallCount:
    """Counts the calls of a whole check and which of them were not valid."""

    made: int = 0
    invalid: list[str] = field(default_factory=list)

    def add(self, answer: Answer, tools: Sequence[ToolSpec]) -> None:
        """Count the calls of `answer`, made while `tools` were offered."""
        self.made += len(answer.calls)
        for call in answer.calls:
            if not call_is_valid(call, tools):
                self.invalid.append(f"{call.name}({call.arguments})")
