"""The pocket mind, small enough to be loaded anew for each test (20 ms)."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

from brain.engines.llm.llamacpp import LlamaCppMind, LlamaCppOptions
from brain.engines.llm.sampling import Sampling
from brain.engines.ports import Message, Text, Ticket, ToolCall
from brain.engines.recipes import POCKET

OPTIONS = LlamaCppOptions(
    POCKET / "mind.gguf", context=2048, batch=128, sampling=Sampling(temperature=0.0)
)


@asynccontextmanager
async def loaded(**changes: Any) -> AsyncIterator[LlamaCppMind]:
    """The pocket mind, greedy, closed afterwards."""
    mind = await LlamaCppMind.load(replace(OPTIONS, **changes))
    try:
        yield mind
    finally:
        await mind.close()


async def answer(
    mind: LlamaCppMind, messages: Sequence[Message] | str, robot: str = "a", **more: Any
) -> list[Text | ToolCall]:
    """All that the mind says to it."""
    asked = [Message("user", messages)] if isinstance(messages, str) else messages
    ticket = more.pop("ticket", None) or Ticket(robot)
    return [item async for item in mind.stream(asked, ticket=ticket, **more)]


def text_of(items: Sequence[Text | ToolCall]) -> str:
    return "".join(item.text for item in items if isinstance(item, Text))
