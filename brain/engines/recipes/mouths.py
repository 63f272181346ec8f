"""The mouth: the voice of the chosen backend, and those below it."""

from __future__ import annotations

import asyncio
import math
from contextlib import aclosing
from dataclasses import replace
from pathlib import Path

from brain.engines.admission import AdmissionLimits
from brain.engines.ladder import GivenUp, Progress, Rung
from brain.engines.lane import Lane, LaneLimits
from brain.engines.lane_ports import LaneSynthesizer
from brain.engines.ports import EngineFailed, EngineUnavailable, Synthesizer, Ticket
from brain.engines.recipes.building import (
    EMBEDDED,
    GRACE_S,
    POCKET,
    WARM_UP,
    imported,
    threads_of,
    warm,
)
from brain.engines.recipes.remote_mouth import openai_rung
from brain.models.place import located, models_dir
from brain.settings import Settings
from brain.settings.budget import excess_of_orpheus, orpheus_runs_on

_ESPEAKERS = 16
"""Calls at espeak at once: they take turns sentence by sentence, each in 10 to 20 ms."""


def synthesizer_rungs(settings: Settings) -> list[Rung[Synthesizer]]:
    """The mouth: the voice of the chosen backend, and those below it; empty for text only."""
    backend = settings.tts_backend
    if backend == "off":
        return []
    rungs = []
    if backend == "orpheus" or (backend == "auto" and settings.performance_mode):
        rungs.append(_orpheus(settings))
    if backend == "openai":
        rungs.append(_openai(settings))
    if backend == "kokoro":
        rungs.append(_kokoro(settings))
    if backend != "espeak" and settings.piper_voice:
        if settings.piper_voice != EMBEDDED:
            rungs.append(_piper(settings, settings.piper_voice))
        rungs.append(_piper(settings, EMBEDDED))
    rungs.append(_espeak(settings))
    return rungs


def _piper(settings: Settings, voice: str) -> Rung[Synthesizer]:
    embedded = voice == EMBEDDED

    def files() -> tuple[Path, Path]:
        folder = models_dir(settings.models_dir)
        file = POCKET / "voice.onnx" if embedded else located(voice, folder)
        return file, file.with_name(file.name + ".json")

    async def build(given_up: GivenUp) -> Synthesizer:
        await imported("brain.engines.tts.piper", "piper-tts", "tts")
        from brain.engines.tts.piper import PiperSynthesizer

        file, _ = files()
        threads = 1 if embedded else _threads(settings)
        name = EMBEDDED if embedded else None
        engine = await asyncio.to_thread(lambda: PiperSynthesizer(file, threads=threads, name=name))
        return await _mouth(engine, _shedding(settings), settings, given_up)

    return Rung("piper", build, check_synthesizer, embedded, files=files)


def _kokoro(settings: Settings) -> Rung[Synthesizer]:
    def files() -> tuple[Path, Path]:
        folder = models_dir(settings.models_dir)
        named = settings.kokoro_model_path, settings.kokoro_voices_path
        model, voices = (located(name, folder) for name in named)
        return model, voices

    async def build(given_up: GivenUp) -> Synthesizer:
        await imported("brain.engines.tts.kokoro", "kokoro-onnx", "tts")
        from brain.engines.tts.kokoro import KokoroOptions, KokoroSynthesizer

        voice, device = settings.kokoro_voice, settings.kokoro_device
        options = KokoroOptions(*files(), voice, device, _threads(settings))
        engine = await asyncio.to_thread(KokoroSynthesizer, options)
        return await _mouth(engine, _shedding(settings), settings, given_up)

    return Rung("kokoro", build, check_synthesizer, files=files)


def _threads(settings: Settings) -> int:
    """Of a voice on the CPU: the mind is at work beside it."""
    return math.ceil(threads_of(settings) / 2)


def _shedding(settings: Settings) -> AdmissionLimits:
    """A conversation keeps its voice and queues; what needn't wait goes to the next rung."""
    return AdmissionLimits(shed_beyond=settings.tts_busy_queue_threshold)


def _espeak(settings: Settings) -> Rung[Synthesizer]:
    async def build(given_up: GivenUp) -> Synthesizer:
        from brain.engines.tts.espeak import EspeakOptions, EspeakSynthesizer

        options = EspeakOptions(settings.tts_voice, settings.tts_rate_wpm)
        engine = await EspeakSynthesizer.load(options)
        return await _mouth(engine, AdmissionLimits(inflight=_ESPEAKERS), settings, given_up)

    return Rung("espeak", build, check_synthesizer, embedded=True)


def _openai(settings: Settings) -> Rung[Synthesizer]:
    admission = AdmissionLimits(inflight=settings.tts_openai_max_inflight)
    return openai_rung(
        settings,
        check_synthesizer,
        lambda engine, given_up: _in_its_lane(engine, admission, settings, given_up),
    )


async def _mouth(
    engine: Synthesizer,
    admission: AdmissionLimits,
    settings: Settings,
    given_up: GivenUp,
    patience_s: float | None = None,
) -> Synthesizer:
    """`patience_s`: of an engine that has time-outs of its own, beyond which it hangs."""
    await warm(engine, check_synthesizer)
    return _in_its_lane(engine, admission, settings, given_up, patience_s)


def _in_its_lane(
    engine: Synthesizer,
    admission: AdmissionLimits,
    settings: Settings,
    given_up: GivenUp,
    patience_s: float | None = None,
) -> Synthesizer:
    patience = settings.tts_timeout_s if patience_s is None else patience_s
    admission = replace(admission, speculates_alone=settings.speculation == "idle")
    limits = LaneLimits(admission, first_s=patience, next_s=patience, grace_s=GRACE_S)
    return LaneSynthesizer(Lane(engine, limits, given_up=given_up))


async def check_synthesizer(engine: Synthesizer) -> None:
    """A word: the voice is loaded, warm, and sounds."""
    samples = 0
    async with aclosing(engine.stream("Hello.", ticket=Ticket(WARM_UP))) as blocks:
        async for block in blocks:
            samples += len(block.samples)
    if not samples:
        raise EngineFailed(f"The voice {engine.info.model} made no sound.")


def _orpheus(settings: Settings) -> Rung[Synthesizer]:
    progress = Progress()

    async def build(given_up: GivenUp) -> Synthesizer:
        if not settings.performance_mode:
            raise EngineUnavailable(
                "TTS_BACKEND=orpheus needs PERFORMANCE_MODE=1: set it, or choose piper or espeak."
            )
        if over := excess_of_orpheus(settings):
            raise EngineUnavailable(f"{over}.")
        # The decoder's library, which every source of its tokens needs.
        await imported("brain.engines.recipes.orpheus", "onnxruntime", "tts")
        from brain.engines.recipes.orpheus import load_orpheus, orpheus_at_once, orpheus_patience_s

        try:
            engine = await load_orpheus(settings, tell=progress, died=given_up.died)
        except EngineUnavailable as error:
            raise EngineUnavailable(f"Orpheus: {error}") from error
        progress(f"{engine.info.model}, warming up")
        admission = AdmissionLimits(
            inflight=orpheus_at_once(settings), shed_beyond=settings.tts_busy_queue_threshold
        )
        return await _mouth(engine, admission, settings, given_up, orpheus_patience_s(settings))

    def files() -> tuple[Path, ...]:
        folder = models_dir(settings.models_dir)
        named = [settings.orpheus_decoder_path]
        if orpheus_runs_on(settings) == "llamacpp":
            named.append(settings.orpheus_model_path)
        return tuple(located(name, folder) for name in named)

    return Rung("orpheus", build, check_synthesizer, files=files, progress=progress)
