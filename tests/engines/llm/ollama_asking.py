"""Asking the Ollama mind of tests: the same question, against a server of the test's own."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from brain.engines.llm.ollama import OllamaMind, OllamaOptions
from brain.engines.ports import (
    Message,
    Text,
    Ticket,
    ToolCall,
    ToolSpec,
)
from tests.engines.llm.ollama_server import (
    OllamaServer,
    Reply,
    an_ollama,
)

HELLO = [Message("user", "Hello.")]
NOD = ToolSpec("nod", "Nod the head.", {
    "type": "object",
    "properties": {"times": {"type": "integer", "minimum": 1, "maximum": 3}},
    "required": ["times"],
})  # fmt: skip
SCHEMA = {"type": "object", "properties": {"speak": {"type": "string"}}, "required": ["speak"]}


def run(main: Callable[[OllamaServer], Awaitable[Any]]) -> Any:
    async def whole() -> Any:
        async with an_ollama() as server:
            return await asyncio.wait_for(main(server), 20)

    return asyncio.run(whole())


def options(server: OllamaServer, **changes: Any) -> OllamaOptions:
    return dataclasses.replace(OllamaOptions(server.url, "qwen3:14b"), **changes)


async def answer(
    mind: OllamaMind, messages: Sequence[Message] = HELLO, **asked: Any
) -> list[Text | ToolCall]:
    asked.setdefault("ticket", Ticket("a"))
    return [item async for item in mind.stream(messages, **asked)]


def said(items: Sequence[Text | ToolCall]) -> str:
    return "".join(item.text for item in items if isinstance(item, Text))


def asked_of(
    replies: Sequence[Reply], capabilities: Sequence[str] | None = None, **asked: Any
) -> tuple[list[Text | ToolCall], OllamaServer, OllamaMind]:
    """What comes for `replies`, and those who talked. `capabilities`: of the model, in Ollama's
    words."""

    async def main(server: OllamaServer) -> Any:
        server.replies = list(replies)
        if capabilities is not None:
            server.models["qwen3:14b"] = tuple(capabilities)
        mind = await OllamaMind.load(options(server))
        try:
            return await answer(mind, **asked), server, mind
        finally:
            await mind.close()

    result: tuple[list[Text | ToolCall], OllamaServer, OllamaMind] = run(main)
    return result
