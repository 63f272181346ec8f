"""faster-whisper for real, with the pocket ears: hearing, silence, cancel, its end."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soxr
from numpy.typing import NDArray

from brain.engines.ports import EngineUnavailable, Ticket, Transcript
from brain.engines.recipes import whisper_options
from brain.engines.stt.whisper import WhisperOptions, WhisperTranscriber
from brain.engines.tts.espeak import EspeakOptions, EspeakSynthesizer
from brain.settings import Settings

EARS = whisper_options(Settings(), "pocket")


async def spoken(text: str) -> NDArray[np.float32]:
    """`text` by espeak-ng, with a little silence around, float32 at 16 kHz."""
    mouth = await EspeakSynthesizer.load(EspeakOptions())
    blocks = [block.samples async for block in mouth.stream(text, ticket=Ticket("a"))]
    await mouth.close()
    sound = np.concatenate(blocks).astype(np.float32) / 32768
    return np.pad(soxr.resample(sound, 22050, 16000), 4800).astype(np.float32)


def run(main: Callable[[WhisperTranscriber], Any]) -> Any:
    async def whole() -> Any:
        ears = await WhisperTranscriber.load(EARS)
        try:
            return await main(ears)
        finally:
            await ears.close()

    return asyncio.run(whole())


async def heard(ears: WhisperTranscriber, sound: NDArray[np.float32], **more: Any) -> Transcript:
    ticket = more.pop("ticket", None) or Ticket("a")
    return await ears.transcribe(sound, language=more.pop("language", "en"), ticket=ticket)


def test_it_hears() -> None:
    async def main(ears: WhisperTranscriber) -> None:
        transcript = await heard(ears, await spoken("What is your name?"))
        assert transcript.text.lower().strip("?. ") == "what is your name"
        assert transcript.language == "en"
        assert transcript.avg_logprob > -0.7
        assert 0 <= transcript.no_speech_prob < 0.6

    run(main)


def test_a_missing_or_broken_folder_is_told(tmp_path: Path) -> None:
    async def load(model: str) -> None:
        await WhisperTranscriber.load(WhisperOptions(model))

    with pytest.raises(EngineUnavailable, match=r"STT_MODEL_SIZE.*model\.bin"):
        asyncio.run(load(str(tmp_path)))
    (tmp_path / "model.bin").write_bytes(b"rubbish")
    with pytest.raises(EngineUnavailable, match="can't be loaded"):
        asyncio.run(load(str(tmp_path)))


def test_a_name_that_cannot_be_fetched_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)

    async def load() -> None:
        await WhisperTranscriber.load(WhisperOptions("no-such-owner/no-such-whisper"))

    with pytest.raises(EngineUnavailable, match="STT_MODEL_SIZE"):
        asyncio.run(load())


def test_a_name_that_no_model_has_is_told_with_those_that_there_are() -> None:
    with pytest.raises(EngineUnavailable, match=r"'bse\.en'.*base\.en"):
        asyncio.run(WhisperTranscriber.load(WhisperOptions("bse.en")))


def test_padding_to_a_whole_window_hears_the_same() -> None:
    """How any other Whisper model is run."""

    async def main() -> None:
        padded = await WhisperTranscriber.load(replace(EARS, pads=True))
        trimmed = await WhisperTranscriber.load(EARS)
        for phrase in ("What is your name?", "Tell me a joke.", "Thank you."):
            sound = await spoken(phrase)
            assert (await heard(padded, sound)).text == (await heard(trimmed, sound)).text
        await padded.close()
        await trimmed.close()

    asyncio.run(main())


def test_what_is_unsure_is_not_believed() -> None:
    async def main() -> None:
        doubter = await WhisperTranscriber.load(replace(EARS, least_logprob=0.0))
        assert (await heard(doubter, await spoken("What is your name?"))).text == ""
        assert doubter.gated == 1
        await doubter.close()

    asyncio.run(main())
