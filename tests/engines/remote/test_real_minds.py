"""Three of llama-cpp-python's own servers as one mind: killed, all of them, and back."""

from __future__ import annotations

import asyncio
import contextlib
import signal
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from brain.engines import ladder as ladder_module
from brain.engines.ladder import Ladder
from brain.engines.ladder_ports import LadderLanguageModel
from brain.engines.ports import EngineFailed, LanguageModel, Message, Text, Ticket
from brain.engines.recipes import language_model_rungs
from brain.engines.remote import tending
from brain.settings import Settings
from tests.engines.llm.openai_real_server import LlamaServer, a_llama_server

# (Of itself this server breaks off a reply for the next request.)
ONE_BY_ONE = ("--interrupt_requests", "false")
NUMBERS = {"type": "array", "items": {"type": "integer"}, "minItems": 400}


@pytest.fixture
def servers(tmp_path: Path) -> Iterator[list[LlamaServer]]:
    with contextlib.ExitStack() as stack, ThreadPoolExecutor() as pool:
        places = [a_llama_server(tmp_path, *ONE_BY_ONE) for _ in range(3)]
        yield list(pool.map(stack.enter_context, places))


async def said(mind: LanguageModel, robot: str) -> str:
    items = mind.stream([Message("user", "What is two plus two?")], ticket=Ticket(robot))
    return "".join([item.text async for item in items if isinstance(item, Text)]).lower()


def test_killed_one_after_the_other(
    servers: list[LlamaServer], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (tending, ladder_module):
        monkeypatch.setattr(module, "PROBE_S", 0.2)
        monkeypatch.setattr(module, "PROBE_AGAIN_S", 0.1)
    settings = Settings(
        llm_backend="openai", openai_url=",".join(server.url for server in servers),
        llm_temperature=0, llm_max_inflight=6,
    )  # fmt: skip

    async def main() -> None:
        ladder: Ladder[LanguageModel] = Ladder("llm", language_model_rungs(settings))
        mind = LadderLanguageModel(ladder)
        await ladder.start()
        await ladder.climb()
        ladder.watch()

        def up() -> list[bool]:
            return [endpoint.up for endpoint in ladder.state.endpoints]

        while up() != [True] * 3:  # noqa: ASYNC110 - they come in the background
            await asyncio.sleep(0.02)
        together = await asyncio.gather(*(said(mind, robot) for robot in "abcdef"))
        assert all("four" in one for one in together)
        counted = ladder.engine.lane.engine.pool.counters()  # type: ignore[attr-defined]
        assert all(at["completed"] >= 2 for at in counted.values())

        # One that is gone, before anybody could look: nobody notices.
        servers[0].kill()
        together = await asyncio.gather(*(said(mind, robot) for robot in "abcdef"))
        assert all("four" in one for one in together)
        while up() != [False, True, True]:  # noqa: ASYNC110 - looked at in the background
            await asyncio.sleep(0.02)

        # One in the midst of a reply: that fails, and is not begun anew.
        count = [Message("user", "Count.")]
        stream = mind.stream(count, schema=NUMBERS, max_tokens=3_000, ticket=Ticket("x"))
        await anext(stream)
        (at,) = [e.place for e in ladder.state.endpoints if e.inflight]
        victim = next(server for server in servers if at.endswith(server.url))
        # Stopped first, so that not all is on its way already.
        victim.process.send_signal(signal.SIGSTOP)
        victim.kill()
        with pytest.raises(EngineFailed, match="broke off"):
            async for _ in stream:
                pass
        assert "four" in await said(mind, "x")

        # All of them: the pocket mind answers, until one is back.
        for server in servers:
            server.kill()
        assert "four" in await said(mind, "x")
        assert ladder.state.active == "llamacpp"
        assert all(server.url in ladder.state.reason for server in servers)
        port = urlsplit(servers[1].url).port or 0
        opened = contextlib.ExitStack()
        with opened:
            await asyncio.to_thread(
                lambda: opened.enter_context(a_llama_server(tmp_path, *ONE_BY_ONE, port=port))
            )
            while ladder.state.active != "openai":  # noqa: ASYNC110 - noticed in the background
                await asyncio.sleep(0.02)
            assert up() == [False, True, False]
            assert "four" in await said(mind, "x")
        await ladder.close()

    asyncio.run(asyncio.wait_for(main(), 90))
