"""Orpheus behind a server in vLLM's form that follows a script: what is asked, and every fault."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import aclosing
from pathlib import Path
from typing import Any

import pytest

from brain.engines.ports import Cancelled, CancelToken, EngineFailed, EngineUnavailable
from brain.engines.recipes.orpheus import load_orpheus
from brain.engines.tts.orpheus.server import ServerSpeech, ServerTokens
from brain.settings import Settings
from tests.engines.tts.orpheus.scripted_vllm import ScriptedVllm, Step, scripted
from tests.engines.tts.orpheus.tiny_snac import write_snac

DONE = "data: [DONE]"


def run(
    story: Callable[[ScriptedVllm, ServerTokens], Awaitable[None]], model: str = "", **script: Any
) -> None:
    async def main() -> None:
        async with scripted(**script) as server:
            source = await ServerTokens.load(ServerSpeech(server.url, model))
            try:
                await story(server, source)
            finally:
                await source.close()

    asyncio.run(main())


async def ids_of(source: ServerTokens, cancel: CancelToken | None = None) -> list[int]:
    stream = source.stream([1, 2, 3], max_tokens=50, cancel=cancel or CancelToken())
    return [token async for ids in stream for token in ids]


def test_what_it_asks_for_and_what_it_takes() -> None:
    async def story(server: ScriptedVllm, source: ServerTokens) -> None:
        assert await source.tokenize("tara: Hi \ud800") == [7, 8]
        assert server.asked[-1] == (
            "/tokenize", {"model": "second", "prompt": "tara: Hi ?", "add_special_tokens": False}
        )  # fmt: skip
        assert await ids_of(source) == [128_266, 5, 132_362]
        path, body = server.asked[-1]
        assert path == "/v1/completions"
        assert body == {
            "model": "second", "prompt": [1, 2, 3], "max_tokens": 50, "stream": True,
            "return_token_ids": True, "stop_token_ids": [128_258], "temperature": 0.6,
            "top_p": 0.9, "repetition_penalty": 1.1,
        }  # fmt: skip
        assert (source.info.name, source.info.model, source.info.device) == (
            "server", "second", "remote",
        )  # fmt: skip

    steps: Sequence[Step] = [[128_266, 5], ": a comment", [], [132_362, 128_258], DONE]
    run(story, "second", steps=steps)


def test_a_model_that_is_not_there_is_the_first_that_is() -> None:
    async def story(server: ScriptedVllm, source: ServerTokens) -> None:
        assert source.info.model == "first"

    run(story, "third")


def test_a_cancel_closes_the_stream() -> None:
    async def story(server: ScriptedVllm, source: ServerTokens) -> None:
        cancel = CancelToken()
        stream = source.stream([1], max_tokens=50, cancel=cancel)
        async with aclosing(stream):
            assert await anext(stream) == [9]
            waits = asyncio.ensure_future(anext(stream))
            await asyncio.to_thread(cancel.cancel)
            with pytest.raises(Cancelled):
                await waits
        await asyncio.wait_for(server.left.wait(), 5)

    run(story, steps=[[9], None])


def test_leaving_and_closing_close_the_stream() -> None:
    async def story(server: ScriptedVllm, source: ServerTokens) -> None:
        async with aclosing(source.stream([1], max_tokens=50, cancel=CancelToken())) as stream:
            await anext(stream)
        await asyncio.wait_for(server.left.wait(), 5)
        server.left.clear()
        under_way = source.stream([1], max_tokens=50, cancel=CancelToken())
        await anext(under_way)
        await source.close()
        with pytest.raises(EngineUnavailable):
            await anext(under_way)
        await asyncio.wait_for(server.left.wait(), 5)
        for asks in (ids_of(source), source.tokenize("a"), source.reset()):
            with pytest.raises(EngineUnavailable, match="closed"):
                await asks

    run(story, steps=[[9], None])


def test_a_reset_breaks_off_what_is_under_way_and_the_next_goes_on() -> None:
    async def story(server: ScriptedVllm, source: ServerTokens) -> None:
        under_way = source.stream([1], max_tokens=50, cancel=CancelToken())
        await anext(under_way)
        await source.reset()
        with pytest.raises(EngineUnavailable):
            await anext(under_way)
        server.steps = [[4], DONE]
        assert await ids_of(source) == [4]
        server.models = {}
        with pytest.raises(EngineUnavailable, match="lists no model"):
            await source.reset()

    run(story, steps=[[9], None])


@pytest.mark.parametrize(
    ("script", "kind", "told"),
    [
        ({"status": 400, "told": '{"error": "Token id out of vocabulary"}'}, EngineFailed, "vocab"),
        ({"status": 500, "told": "x\n" * 9_000}, EngineFailed, "status 500"),
        ({"status": 401, "told": ""}, EngineUnavailable, "no word why"),
        ({"status": 404, "told": "no such model"}, EngineUnavailable, "no such model"),
        ({"steps": []}, EngineFailed, "before the end"),
        ({"steps": [[1], "data: {no json"]}, EngineFailed, "can't be read"),
        ({"steps": ["data: [7]"]}, EngineFailed, "can't be read"),
        ({"steps": ['data: {"error": {"message": "out of memory"}}']}, EngineFailed, "out of mem"),
        ({"steps": ['data: {"choices": [{"text": "hello"}]}']}, EngineFailed, "no token ids"),
        ({"steps": ['data: {"choices": [{"token_ids": ["a"]}]}']}, EngineFailed, "can't be read"),
    ],
)
def test_every_fault_is_told_as_the_ports_have_it(
    script: dict[str, Any], kind: type[Exception], told: str
) -> None:
    async def story(server: ScriptedVllm, source: ServerTokens) -> None:
        with pytest.raises(kind, match=told) as error:
            await ids_of(source)
        assert "\n" not in str(error.value)

    run(story, **script)


@pytest.mark.parametrize(
    "script",
    [{"models": []}, {"models": {"data": []}}, {"tokens": {}}, {"tokens": {"tokens": "a"}}],
)
def test_what_is_no_vllm_is_not_there(script: dict[str, Any]) -> None:
    async def never(_server: ScriptedVllm, _source: ServerTokens) -> None:
        pytest.fail("it was loaded")

    with pytest.raises(EngineUnavailable, match="ORPHEUS_URL=http://127"):
        run(never, **script)


@pytest.mark.setting("ORPHEUS_URL")
def test_nobody_there(tmp_path: Path) -> None:
    async def main() -> None:
        snac = write_snac(tmp_path / "snac.onnx")
        changes = {"orpheus_backend": "server", "orpheus_decoder_path": str(snac)}
        async with scripted(steps=[DONE]) as server:
            url = server.url.replace("http://", "http://user:secret@")
            voice = await load_orpheus(Settings(**changes, orpheus_url=url))
            assert voice.info.model == "first"
            await voice.close()
        with pytest.raises(EngineUnavailable, match="can't be reached") as told:
            await load_orpheus(Settings(**changes, orpheus_url=url))
        assert "secret" not in str(told.value)

    asyncio.run(main())
