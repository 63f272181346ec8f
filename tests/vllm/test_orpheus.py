"""Orpheus on vLLM, in this process and behind vLLM's own server: a random model, a random SNAC."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Iterator
from contextlib import aclosing
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import pytest
from numpy.typing import NDArray

from brain.engines.llm.vllm_options import VllmShape
from brain.engines.ports import (
    Cancelled,
    CancelToken,
    EngineFailed,
    EngineUnavailable,
    Ticket,
)
from brain.engines.tts.orpheus.frames import FIRST_AUDIO_TOKEN, FRAME_TOKENS, VOCABULARY
from brain.engines.tts.orpheus.prompt import most_tokens, prompt_ids, said
from brain.engines.tts.orpheus.server import ServerSpeech, ServerTokens
from brain.engines.tts.orpheus.snac import SnacOnThread
from brain.engines.tts.orpheus.source import TokenSource
from brain.engines.tts.orpheus.synthesizer import OrpheusOptions, OrpheusSynthesizer
from brain.engines.tts.orpheus.vllm import VllmSpeech, VllmTokens
from tests.engines.tts.orpheus.slow_reference import slow_codes, slow_sound
from tests.engines.tts.orpheus.tiny_snac import write_snac
from tests.vllm.vllm_server import VllmServer, a_vllm_server

T = TypeVar("T")

TEXT = "Hello there."
# What a random model says is no speech. These let it say audio tokens alone, of any place, so that
# one in seven fits and the others come in between.
SAMPLING: dict[str, Any] = {
    "temperature": 1.0,
    "seed": 5,
    "allowed_token_ids": list(range(FIRST_AUDIO_TOKEN, VOCABULARY)),
}
MOST = 1200


@pytest.fixture(scope="module")
def decoder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_snac(tmp_path_factory.mktemp("snac") / "snac.onnx")


@pytest.fixture(scope="module")
def server(orpheus: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[VllmServer]:
    with a_vllm_server(orpheus, tmp_path_factory.mktemp("server")) as made:
        yield made


def run(work: Awaitable[T]) -> T:
    async def bounded() -> T:
        return await asyncio.wait_for(work, 300)

    return asyncio.run(bounded())


async def in_process(folder: Path) -> VllmTokens:
    shape = VllmShape(
        str(folder), dtype="float32", context=2048, sequences=2, batch=512, prefix="ORPHEUS"
    )
    return await VllmTokens.load(VllmSpeech(shape, "orpheus", SAMPLING))


async def ids_of(source: TokenSource, text: str = TEXT, most: int = MOST) -> list[int]:
    prompt = prompt_ids(await source.tokenize(said("tara", text)))
    stream = source.stream(prompt, max_tokens=most, cancel=CancelToken())
    return [token async for ids in stream for token in ids]


async def sound_of(source: TokenSource, decoder: Path) -> NDArray[np.int16]:
    """What is streamed for `TEXT`. The source is closed."""
    snac = await SnacOnThread.load(decoder, threads=1)
    voice = OrpheusSynthesizer(source, snac, OrpheusOptions(idle_s=100.0, total_s=200.0))
    blocks = [block.samples async for block in voice.stream(TEXT, ticket=Ticket("a"))]
    await voice.close()
    assert len(blocks) > 2, "it comes as it is made"
    return np.concatenate(blocks)


async def every_case(source: TokenSource, decoder: Path) -> None:
    """What both sources owe. Closes `source`."""
    text = "tara: ab<custom_token_5>"
    assert len(await source.tokenize(text)) == len(text), "a token's name in a text is text"
    assert await source.tokenize("\ud800") == await source.tokenize("?")

    # Equal seeds say equal things, alone and at once; what is cancelled disturbs nobody.
    one = await ids_of(source)
    assert len(slow_codes(one)) >= 4 * FRAME_TOKENS
    both = await asyncio.gather(ids_of(source), ids_of(source), cancelled(source))
    assert both[0] == both[1] == one
    assert both[2] < 200

    expected = slow_sound(await whole(source), decoder)
    streamed = await sound_of(source, decoder)
    assert np.array_equal(streamed, expected)
    with pytest.raises(EngineUnavailable):
        await ids_of(source)
    await source.close()


async def whole(source: TokenSource) -> list[int]:
    """All that the synthesiser asks for of `TEXT`."""
    return await ids_of(source, most=most_tokens(TEXT))


async def cancelled(source: TokenSource) -> int:
    cancel, count = CancelToken(), 0
    prompt = prompt_ids(await source.tokenize(said("tara", "Another one.")))
    try:
        async for ids in source.stream(prompt, max_tokens=MOST, cancel=cancel):
            count += len(ids)
            if count >= 20:
                cancel.cancel()
    except Cancelled:
        return count
    pytest.fail("its cancel was not heeded")


def test_in_this_process(orpheus: Path, decoder: Path) -> None:
    async def main() -> None:
        source = await in_process(orpheus)
        assert (source.info.name, source.info.model, source.info.device) == (
            "vllm", "orpheus", "cpu",
        )  # fmt: skip
        await every_case(source, decoder)

        # A reset frees the memory, and what loads it anew is the ladder, as for any that is down.
        other = await in_process(orpheus)
        prompt = prompt_ids(await other.tokenize(said("tara", TEXT)))
        async with aclosing(other.stream(prompt, max_tokens=MOST, cancel=CancelToken())) as stream:
            await anext(stream)
            with pytest.raises(EngineUnavailable, match="started anew"):
                await other.reset()
            with pytest.raises(EngineUnavailable):
                async for _ in stream:
                    pass

    run(main())


def test_a_model_without_sound_is_refused(pocket: Path) -> None:
    with pytest.raises(EngineUnavailable, match="TTS_MODEL_NAME"):
        run(in_process(pocket))


def test_behind_vllms_own_server(server: VllmServer, decoder: Path) -> None:
    async def main() -> None:
        source = await ServerTokens.load(ServerSpeech(server.url, "", SAMPLING))
        assert (source.info.name, source.info.device) == ("server", "remote")
        await source.reset()
        await every_case(source, decoder)
        wrong = await ServerTokens.load(ServerSpeech(server.url, "", {"top_p": 7}))
        with pytest.raises(EngineFailed, match="status 400"):
            await ids_of(wrong)
        await wrong.close()

    run(main())
