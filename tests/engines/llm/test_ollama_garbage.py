"""What a server in Ollama's place may send: an error in words, whatever it is."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from brain.engines.llm.ollama import OllamaMind, OllamaOptions, probe
from brain.engines.ports import EngineError, EngineFailed, EngineUnavailable, Message, Ticket
from tests.engines.llm.ollama_server import OllamaServer, Raw, Refuse, an_ollama

DEEP = b"[" * 200_000
NOISE = b"\x1b[31m\x07" + "\u202e".encode() + b"x" * 5_000


def run(main: Callable[[OllamaServer], Awaitable[None]]) -> None:
    async def whole() -> None:
        async with an_ollama() as server:
            await asyncio.wait_for(main(server), 20)

    asyncio.run(whole())


def options(server: OllamaServer, model: str = "qwen3:14b") -> OllamaOptions:
    return OllamaOptions(server.url, model)


async def answer(mind: OllamaMind) -> None:
    async for _ in mind.stream([Message("user", "Hello.")], ticket=Ticket("a")):
        pass


async def failing(work: Awaitable[Any]) -> EngineError:
    """The error of `work`, which is fit to be read."""
    with pytest.raises(EngineError) as raised:
        await work
    assert str(raised.value).isprintable()
    assert len(str(raised.value)) < 500
    return raised.value


@pytest.mark.parametrize(
    "sent", [Refuse(200, DEEP), Refuse(500, DEEP), Refuse(500, NOISE)], ids=["deep", "ill", "noise"]
)
def test_a_model_that_cannot_be_told_of_is_unavailable(sent: Refuse) -> None:
    async def main(server: OllamaServer) -> None:
        server._show = lambda _: sent  # type: ignore[method-assign]
        for call in (OllamaMind.load, probe):
            # Not on the list, so it is asked for by name.
            error = await failing(call(options(server, "missing:1b")))
            assert isinstance(error, EngineUnavailable)

    run(main)


def test_a_pull_whose_progress_is_nonsense_breaks_off() -> None:
    async def main(server: OllamaServer) -> None:
        # (What breaks off at our end may have come to its own.)
        for name, nonsense in (("a:1b", [Raw(DEEP + b"\n")]), ("b:1b", Refuse(500, NOISE))):
            server.registry, server.pulls = {name: ("completion",)}, [nonsense]
            error = await failing(OllamaMind.load(options(server, name)))
            assert isinstance(error, EngineUnavailable)

    run(main)


def test_a_reply_nested_without_end_is_a_failure() -> None:
    async def main(server: OllamaServer) -> None:
        server.replies = [[Raw(DEEP + b"\n")], "Hello there."]
        mind = await OllamaMind.load(options(server))
        error = await failing(answer(mind))
        assert isinstance(error, EngineFailed)
        assert "isn't Ollama's" in str(error)
        await answer(mind)
        await mind.close()

    run(main)
