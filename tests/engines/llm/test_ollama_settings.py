"""What each of Ollama's settings does, from `Settings` through recipe and ladder to the server."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest

from brain.engines.ladder import Ladder
from brain.engines.ladder_ports import LadderLanguageModel
from brain.engines.loader import EngineSet
from brain.engines.ports import LanguageModel, Message, Priority, Text, Ticket
from brain.engines.recipes import language_model_rungs
from brain.settings import Settings
from tests.engines.llm.ollama_server import Hold, Layer, OllamaServer, Refuse, an_ollama

HELLO = [Message("user", "Hello.")]


@asynccontextmanager
async def a_mind(
    server: OllamaServer, **changes: Any
) -> AsyncIterator[tuple[Ladder[LanguageModel], LanguageModel]]:
    """The ladder of these settings, climbed, and the mind that it is."""
    values: dict[str, Any] = {"llm_backend": "ollama", "ollama_url": server.url, "cpu_threads": 1}
    ladder = Ladder("llm", language_model_rungs(Settings(**{**values, **changes})))
    mind: LanguageModel = LadderLanguageModel(ladder)
    try:
        await ladder.start()
        await ladder.climb()
        yield ladder, mind
    finally:
        await mind.close()


def run(main: Callable[[OllamaServer], Awaitable[None]]) -> None:
    async def whole() -> None:
        async with an_ollama() as server:
            await asyncio.wait_for(main(server), 60)

    asyncio.run(whole())


async def say(mind: LanguageModel, priority: Priority = Priority.REPLY) -> str:
    stream = mind.stream(HELLO, ticket=Ticket("a", priority))
    return "".join([item.text async for item in stream if isinstance(item, Text)])


@pytest.mark.setting("LLM_BACKEND")
@pytest.mark.setting("OLLAMA_URL")
def test_the_server_that_is_named_answers() -> None:
    async def main(server: OllamaServer) -> None:
        async with an_ollama() as other:
            other.replies = ["I am the other one."]
            async with a_mind(server, ollama_url=f"{other.url}/") as (ladder, mind):
                assert (ladder.state.active, ladder.state.reason) == ("ollama", "")
                assert await say(mind) == "I am the other one."
            assert not server.requests

    run(main)


@pytest.mark.setting("OLLAMA_URL")
def test_where_nobody_is_the_pocket_mind_serves_and_the_address_is_told() -> None:
    async def main(server: OllamaServer) -> None:
        await server.stop()
        async with a_mind(server) as (ladder, mind):
            assert (ladder.state.wanted, ladder.state.active) == ("ollama", "llamacpp")
            assert f"OLLAMA_URL={server.url} can't be reached" in ladder.state.reason
            assert await say(mind)

    run(main)


@pytest.mark.setting("MODEL_NAME")
def test_the_model_that_is_named_answers() -> None:
    async def main(server: OllamaServer) -> None:
        server.models["other:8b"] = ("completion",)
        async with a_mind(server, model_name="other:8b") as (ladder, mind):
            await say(mind)
            assert ladder.state.model == "other:8b"
            assert {body["model"] for body in server.asked("/api/chat")} == {"other:8b"}

    run(main)


@pytest.mark.setting("TEMPERATURE")
@pytest.mark.setting("NUM_CTX")
@pytest.mark.setting("LLM_MAX_OUTPUT_TOKENS")
def test_the_options_of_a_call() -> None:
    async def main(server: OllamaServer) -> None:
        chosen = {"temperature": 1.5, "num_ctx": 8192, "llm_max_output_tokens": 33}
        async with a_mind(server, **chosen) as (_, mind):
            await say(mind)
        warm_up, reply = (body["options"] for body in server.asked("/api/chat"))
        assert reply == {"temperature": 1.5, "num_ctx": 8192, "num_predict": 33}
        # The same window, or the reply would load the model once more.
        assert (warm_up["num_ctx"], warm_up["num_predict"]) == (8192, 1)

    run(main)


@pytest.mark.setting("PLAN_KEEP_ALIVE")
@pytest.mark.setting("CONVERSE_KEEP_ALIVE")
def test_plans_and_conversations_keep_the_model_each_for_its_time() -> None:
    async def main(server: OllamaServer) -> None:
        chosen = {"plan_keep_alive": "10m", "converse_keep_alive": "-1", "warmup_llm": False}
        async with a_mind(server, **chosen) as (_, mind):
            await say(mind, Priority.PLAN)
            await say(mind, Priority.REPLY)
            await say(mind, Priority.SPECULATION)
        async with a_mind(server, warmup_llm=False) as (_, mind):
            await say(mind, Priority.PLAN)
        kept = [body["keep_alive"] for body in server.asked("/api/chat")]
        assert kept == ["10m", -1, -1, "0s"]

    run(main)


@pytest.mark.setting("WARMUP_LLM")
@pytest.mark.parametrize("warm", [True, False])
def test_a_warm_up_is_one_call_at_the_start(warm: bool) -> None:
    async def main(server: OllamaServer) -> None:
        async with a_mind(server, warmup_llm=warm) as (ladder, _):
            assert ladder.state.active == "ollama"
            assert len(server.asked("/api/chat")) == (1 if warm else 0)

    run(main)


@pytest.mark.setting("AUTO_PULL_OLLAMA_MODEL")
@pytest.mark.parametrize("pulls", [True, False])
def test_a_missing_model_is_pulled_or_asked_for(pulls: bool) -> None:
    async def main(server: OllamaServer) -> None:
        server.registry = {"new:1b": ("completion",)}
        chosen = {"model_name": "new:1b", "auto_pull_ollama_model": pulls}
        async with a_mind(server, **chosen) as (ladder, _):
            assert bool(server.asked("/api/pull")) is pulls
            if pulls:
                assert (ladder.state.active, ladder.state.model) == ("ollama", "new:1b")
            else:
                assert ladder.state.active == "llamacpp"
                assert "ollama pull new:1b" in ladder.state.reason

    run(main)


@pytest.mark.setting("OLLAMA_PULL_TIMEOUT_S")
def test_a_pull_has_its_time_and_the_next_try_goes_on() -> None:
    async def main(server: OllamaServer) -> None:
        server.registry = {"new:1b": ("completion",)}
        server.pulls = [[Layer("sha256:a", 10, 3), Hold()], [Layer("sha256:a", 10, 10)]]
        chosen = {"model_name": "new:1b", "ollama_pull_timeout_s": 1.0}
        async with a_mind(server, **chosen) as (ladder, _):
            assert "OLLAMA_PULL_TIMEOUT_S=1 s (it got to 30 %)" in ladder.state.reason
            assert ladder.state.progress == ""
            await ladder.climb()
            assert (ladder.state.active, ladder.state.reason) == ("ollama", "")

    run(main)


@pytest.mark.setting("LLM_TIMEOUT_S")
def test_a_reply_that_does_not_come_is_given_up() -> None:
    async def main(server: OllamaServer) -> None:
        server.replies = ["Warm.", [Hold()]]
        async with a_mind(server, llm_timeout_s=0.2) as (_, mind):
            with pytest.raises(Exception, match=r"no progress for 0.2 s"):
                await say(mind)
            await server.requests[-1].left.wait()

    run(main)


@pytest.mark.setting("WARMUP_LLM")
def test_a_model_that_fails_its_warm_up_does_not_serve() -> None:
    """Without one, the first robot would have found out."""

    async def main(server: OllamaServer) -> None:
        server.replies = [Refuse(500, b'{"error": "out of memory"}')]
        async with a_mind(server) as (ladder, _):
            assert ladder.state.active == "llamacpp"
            assert "out of memory" in ladder.state.reason
        async with a_mind(server, warmup_llm=False) as (ladder, _):
            assert ladder.state.active == "ollama"

    run(main)


def test_a_long_pull_holds_up_neither_ears_nor_mouth() -> None:
    async def main(server: OllamaServer) -> None:
        server.registry = {"new:1b": ("completion",)}
        hold = Hold()
        server.pulls = [[Layer("sha256:a", 100, 43), hold]]
        settings = Settings(
            llm_backend="ollama", ollama_url=server.url, model_name="new:1b", cpu_threads=1,
            stt_model_size="/no/such/ears", tts_backend="espeak",
        )  # fmt: skip
        engines = EngineSet(settings)
        try:
            await engines.start()
            await hold.reached.wait()
            while True:
                states = {state.kind: state for state in engines.states()}
                told = states["llm"].progress.endswith("43 %")
                if told and not states["stt"].loading and not states["tts"].loading:
                    break
                await asyncio.sleep(0.01)
            assert "/no/such/ears" in states["stt"].reason
            assert states["llm"].loading
            assert states["llm"].progress == "pulling new:1b: 43 %"
            assert states["llm"].active == "llamacpp"
            assert not await engines.wait_settled(0.01)
            hold.release.set()
            assert await engines.wait_settled()
            state = next(state for state in engines.states() if state.kind == "llm")
            assert (state.active, state.loading, state.progress) == ("ollama", False, "")
        finally:
            await engines.close()

    run(main)


@pytest.mark.parametrize("when", ["while it pulls", "before"])
def test_closing_while_it_pulls(when: str) -> None:
    async def main(server: OllamaServer) -> None:
        server.registry = {"new:1b": ("completion",)}
        hold = Hold()
        server.pulls = [[hold]]
        settings = Settings(
            llm_backend="ollama", ollama_url=server.url, model_name="new:1b", cpu_threads=1,
            stt_model_size="pocket", tts_backend="off",
        )  # fmt: skip
        engines = EngineSet(settings)
        await engines.start()
        if when == "while it pulls":
            await hold.reached.wait()
        await engines.close()
        if when == "while it pulls":
            await server.requests[-1].left.wait()

    run(main)
