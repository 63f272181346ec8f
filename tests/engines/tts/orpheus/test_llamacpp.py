"""The voice end to end: a tiny Llama with Orpheus's vocabulary on llama.cpp, a tiny SNAC."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from brain.engines.llm.native import NativeContext, NativeModel
from brain.engines.ports import Cancelled, CancelToken, EngineFailed, EngineUnavailable, Ticket
from brain.engines.recipes import POCKET
from brain.engines.tts.orpheus import llamacpp
from brain.engines.tts.orpheus.llamacpp import SAMPLING, LlamaCppSpeech, LlamaCppTokens
from brain.engines.tts.orpheus.prompt import most_tokens, prompt_ids, said
from brain.engines.tts.orpheus.snac import SnacOnThread
from brain.engines.tts.orpheus.synthesizer import OrpheusOptions, OrpheusSynthesizer
from tests.engines.tts.orpheus.slow_reference import slow_codes, slow_sound
from tests.engines.tts.orpheus.tiny_gguf import END, GARBAGE, write_orpheus
from tests.engines.tts.orpheus.tiny_snac import write_snac

TEXT = "Hello there."


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("orpheus")
    write_orpheus(folder / "orpheus.gguf")
    write_orpheus(folder / "endless.gguf", likely_end=0)
    write_snac(folder / "snac.onnx")
    return folder


def run(
    main: Callable[[LlamaCppTokens], Awaitable[Any]], file: Path, *, seed: int = 0, **changes: Any
) -> Any:
    options = LlamaCppSpeech(file, context=4096, batch=64, sampling=replace(SAMPLING, seed=seed))

    async def whole() -> Any:
        source = await LlamaCppTokens.load(replace(options, **changes))
        try:
            return await main(source)
        finally:
            await source.close()
            await source.close()

    return asyncio.run(whole())


async def made(source: LlamaCppTokens, most: int = 2000, text: str = TEXT) -> list[int]:
    prompt = prompt_ids(await source.tokenize(said("tara", text)))
    stream = source.stream(prompt, max_tokens=most, cancel=CancelToken())
    return [token async for ids in stream for token in ids]


def test_the_sound_of_a_model_is_that_of_the_slow_reference(models: Path) -> None:
    async def main(source: LlamaCppTokens) -> None:
        ids = await made(source, most_tokens(TEXT))
        assert len(slow_codes(ids)) >= 8 * 7, "the stand-in talks for a while"
        assert set(ids) & set(GARBAGE), "with garbage in between"
        assert len(ids) < most_tokens(TEXT), "and comes to its end"
        assert END not in ids
        decoder = await SnacOnThread.load(models / "snac.onnx")
        mouth = OrpheusSynthesizer(source, decoder, OrpheusOptions(at_once=1))
        assert (mouth.info.name, mouth.info.model) == ("orpheus", "orpheus.gguf")
        blocks = [block async for block in mouth.stream(TEXT, ticket=Ticket("a"))]
        assert np.array_equal(
            np.concatenate([block.samples for block in blocks]),
            slow_sound(ids, models / "snac.onnx"),
        )
        assert all(block.seconds <= 0.1 for block in blocks)
        await mouth.close()

    run(main, models / "orpheus.gguf", seed=1)  # which talks for long


def test_a_model_that_finds_no_end_is_stopped_at_the_most_tokens(models: Path) -> None:
    assert len(run(lambda source: made(source, 100), models / "endless.gguf")) == 100


def test_the_prompt_is_read(models: Path) -> None:
    async def main(source: LlamaCppTokens) -> None:
        assert await source.tokenize("tara: ab<custom_token_5>") == [
            *b"tara: ", 256, *b"<custom_token_5>"
        ], "and what is written as a token stays text"  # fmt: skip
        one, again, other = [await made(source, 40, t) for t in (TEXT, TEXT, "What else?")]
        assert one == again != other

    run(main, models / "endless.gguf")


def test_several_at_once_and_one_that_is_cancelled(models: Path) -> None:
    async def main(source: LlamaCppTokens) -> None:
        cancel = CancelToken()
        prompt = prompt_ids(await source.tokenize(said("tara", TEXT)))

        async def cancelled() -> int:
            count = 0
            async for ids in source.stream(prompt, max_tokens=2000, cancel=cancel):
                count += len(ids)
                if count >= 20:
                    cancel.cancel()
            return count

        results = await asyncio.gather(
            made(source, 100), cancelled(), made(source, 100), return_exceptions=True
        )
        assert isinstance(results[1], Cancelled)
        assert [len(ids) for ids in (results[0], results[2])] == [100, 100]  # type: ignore[arg-type]

    run(main, models / "endless.gguf")


def test_a_reset_frees_the_model_and_loads_it_anew(models: Path) -> None:
    async def main(source: LlamaCppTokens) -> None:
        before = await made(source, 40)
        prompt = prompt_ids(await source.tokenize(said("tara", TEXT)))
        stream = source.stream(prompt, max_tokens=2000, cancel=CancelToken())
        await anext(stream)
        await source.reset()
        with pytest.raises(EngineFailed, match="started anew"):
            async for _ in stream:
                pass
        assert await made(source, 40) == before

    run(main, models / "endless.gguf")


def test_memory_is_freed_before_the_model_is_loaded_again(
    models: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else there would have to be room for two."""
    done: list[str] = []

    class Model(NativeModel):
        def __init__(self, *given: Any, **named: Any) -> None:
            super().__init__(*given, **named)
            done.append("loaded")

        def close(self) -> None:
            super().close()
            done.append("freed")

    class Context(NativeContext):
        def close(self) -> None:
            super().close()
            done.append("freed its working memory")

    monkeypatch.setattr(llamacpp, "NativeModel", Model)
    monkeypatch.setattr(llamacpp, "NativeContext", Context)

    async def main(source: LlamaCppTokens) -> None:
        prompt = prompt_ids(await source.tokenize(said("tara", TEXT)))
        stream = source.stream(prompt, max_tokens=2000, cancel=CancelToken())
        await anext(stream)
        await source.reset()
        assert done == ["loaded", "freed its working memory", "freed", "loaded"]
        await stream.aclose()

    run(main, models / "endless.gguf")


def test_a_model_without_sound_and_files_that_are_none(models: Path) -> None:
    async def nothing(source: LlamaCppTokens) -> None:
        raise AssertionError(source)

    with pytest.raises(EngineUnavailable, match="ORPHEUS_MODEL_PATH is an Orpheus"):
        run(nothing, POCKET / "mind.gguf")
    with pytest.raises(EngineUnavailable, match="ORPHEUS_MODEL_PATH names one GGUF file"):
        run(nothing, models / "absent.gguf")
    with pytest.raises(EngineUnavailable, match=r"llama\.cpp can't load"):
        run(nothing, models / "snac.onnx")
    with pytest.raises(EngineUnavailable, match="lower ORPHEUS_MAX_MODEL_LEN"):
        run(nothing, models / "orpheus.gguf", context=1 << 31)


def test_after_the_end(models: Path) -> None:
    async def main(source: LlamaCppTokens) -> None:
        await source.close()
        with pytest.raises(EngineUnavailable):
            await source.tokenize("a")
        with pytest.raises(EngineUnavailable):
            await made(source)

    run(main, models / "orpheus.gguf")
