"""A training conversation, and what its maker remembers while it grows."""

from __future__ import annotations

import random
from dataclasses import dataclass, field

from brain.engines.ports import Message, ToolSpec
from tools.pocket.mind.intents import Call


@dataclass
class Conversation:
    """What is said in one session, with all tools on offer. Every assistant message is a target."""

    messages: list[Message]
    tools: list[ToolSpec]


@dataclass
class Session:
    """The conversation so far: what was told, called and said last."""

    rng: random.Random
    tools: list[ToolSpec]
    mood: bool
    messages: list[Message] = field(default_factory=list)
    name: str = ""
    color: str = ""
    last_call: Call | None = None
    last_mood: str = ""
    last_kind: str = ""
    last_said: str = ""
    told: dict[str, int] = field(default_factory=dict)

    def tool(self, name: str) -> ToolSpec | None:
        return next((tool for tool in self.tools if tool.name == name), None)
