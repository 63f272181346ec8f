"""Where the Ollama adapter is tried: a server in Ollama's form, with the pocket mind behind it.

No Ollama: its API is that of `tests.engines.llm.ollama_server`, as documented. But what it says is
made token by token by a real model.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import aclosing, asynccontextmanager
from typing import Any

from brain.engines.llm.llamacpp import LlamaCppMind
from brain.engines.llm.ollama import OllamaMind, OllamaOptions
from brain.engines.ports import (
    EngineError,
    LanguageModel,
    Message,
    Text,
    Ticket,
    ToolCall,
    ToolSpec,
)
from tests.engines.llm.ollama_server import OllamaServer, _begin, _chunk, _done, _end, _line
from tests.engines.llm.pocket_mind import OPTIONS

MODEL = "pocket:latest"


class ThinkingServer(OllamaServer):
    """What `/api/chat` says is `mind`'s."""

    def __init__(self, mind: LanguageModel) -> None:
        super().__init__()
        self.models = {MODEL: ("completion", "tools")}
        self._mind = mind

    async def _chat(self, body: Mapping[str, Any], writer: asyncio.StreamWriter) -> None:
        refusal = self._chat_refusal(body, body["model"])
        if refusal is not None or not body["messages"]:
            await super()._chat(body, writer)
            return
        await _begin(writer)
        options = body["options"]
        stream = self._mind.stream(
            [_message(message) for message in body["messages"]],
            tools=[_tool(tool["function"]) for tool in body.get("tools") or ()],
            schema=body.get("format") or None,
            temperature=options["temperature"],
            max_tokens=options["num_predict"],
            ticket=Ticket("ollama"),
        )
        try:
            async with aclosing(stream) as items:
                async for item in items:
                    await _line(writer, _chunk(body, **_said(item)))
            await _line(writer, _done(body, "stop"))
        except EngineError as error:
            await _line(writer, {"error": str(error)})
        await _end(writer)


@asynccontextmanager
async def ollama() -> AsyncIterator[Callable[[], Awaitable[LanguageModel]]]:
    """A server; loads minds that ask it."""
    mind = await LlamaCppMind.load(OPTIONS)
    server = ThinkingServer(mind)
    await server.start()

    async def load() -> LanguageModel:
        options = OllamaOptions(server.url, MODEL, temperature=0.0, max_tokens=200)
        return await OllamaMind.load(options)

    try:
        yield load
    finally:
        await server.stop()
        await mind.close()


def _said(item: Text | ToolCall) -> dict[str, Any]:
    if isinstance(item, Text):
        return {"content": item.text}
    function = {"name": item.name, "arguments": json.loads(item.arguments)}
    return {"tool_calls": [{"id": "call_1", "function": function}]}


def _message(body: Mapping[str, Any]) -> Message:
    calls = tuple(
        ToolCall(call["function"]["name"], json.dumps(call["function"]["arguments"]))
        for call in body.get("tool_calls") or ()
    )
    return Message(body["role"], body.get("content") or "", calls, name=body.get("tool_name") or "")


def _tool(function: Mapping[str, Any]) -> ToolSpec:
    return ToolSpec(function["name"], function["description"], function["parameters"])
