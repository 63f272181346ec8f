"""How long engines are waited for: scripted ones that hang, in virtual time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import Any

import numpy as np
import pytest

from brain.engines.ladder import Rung
from brain.engines.ports import EngineTimeout, LanguageModel, Message, Synthesizer, Ticket
from brain.engines.recipes import language_model_rungs, synthesizer_rungs, transcriber_rungs
from brain.settings import Settings
from tests.scripted_engines import Hang, ScriptedMind, ScriptedMouth, ScriptedTranscriber
from tests.virtual_time import run_virtual

TICKET = Ticket("r1")


def patience_of(rungs: Sequence[Rung[Any]], use: Callable[[Any], Awaitable[Any]]) -> float:
    """How long the first rung's engine is waited for, after its warm-up, before it times out, s."""

    async def main() -> float:
        engine = await rungs[0].build(lambda _: None)
        began = asyncio.get_running_loop().time()
        with pytest.raises(EngineTimeout):
            await use(engine)
        took = asyncio.get_running_loop().time() - began
        await engine.close()
        return took

    return run_virtual(main())


def replaces(monkeypatch: pytest.MonkeyPatch, name: str, engine: Callable[[], object]) -> None:
    """Loading `name` gives `engine`, which answers once (its warm-up) and then hangs."""

    async def load(*_: object, **_options: object) -> object:
        return engine()

    monkeypatch.setattr(f"brain.engines.{name}.load", load)


async def drained(items: AsyncIterator[Any]) -> None:
    async for _ in items:
        pass


@pytest.mark.setting("STT_TIMEOUT_S")
@pytest.mark.parametrize("seconds", [2.0, 50.0])
def test_ears(monkeypatch: pytest.MonkeyPatch, seconds: float) -> None:
    def ears() -> ScriptedTranscriber:
        return ScriptedTranscriber(["", Hang()])

    replaces(monkeypatch, "stt.whisper.WhisperTranscriber", ears)
    rungs = transcriber_rungs(Settings(stt_model_size="pocket", stt_timeout_s=seconds))
    sound = np.zeros(16_000, np.float32)
    took = patience_of(rungs, lambda engine: engine.transcribe(sound, language="en", ticket=TICKET))
    assert took == pytest.approx(seconds, abs=0.1)


@pytest.mark.setting("LLM_TIMEOUT_S")
@pytest.mark.parametrize("seconds", [2.0, 50.0])
def test_mind(monkeypatch: pytest.MonkeyPatch, seconds: float) -> None:
    def mind() -> ScriptedMind:
        return ScriptedMind(["Hi.", [Hang()]])

    def ask(engine: LanguageModel) -> Awaitable[None]:
        return drained(engine.stream([Message("user", "Hello.")], ticket=TICKET))

    replaces(monkeypatch, "llm.llamacpp.LlamaCppMind", mind)
    rungs = language_model_rungs(Settings(llm_backend="llamacpp", llm_timeout_s=seconds))
    # A scripted mind begins its answer, and its hanging, after 0.2 s; the lane counts from before.
    assert patience_of(rungs, ask) == pytest.approx(seconds, abs=0.1)


@pytest.mark.setting("TTS_TIMEOUT_S")
@pytest.mark.parametrize("seconds", [2.0, 50.0])
def test_mouth(monkeypatch: pytest.MonkeyPatch, seconds: float) -> None:
    def mouth() -> ScriptedMouth:
        return ScriptedMouth(failures=(None, Hang()))

    def say(engine: Synthesizer) -> Awaitable[None]:
        return drained(engine.stream("Hello there.", ticket=TICKET))

    replaces(monkeypatch, "tts.espeak.EspeakSynthesizer", mouth)
    rungs = synthesizer_rungs(Settings(tts_backend="espeak", tts_timeout_s=seconds))
    assert patience_of(rungs, say) == pytest.approx(seconds, abs=0.1)
