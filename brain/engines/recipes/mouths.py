"""The mouth: the voice of the chosen backend, and those below it."""

from __future__ import annotations

import asyncio
import math
from contextlib import aclosing
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
        threads = 1 if embedded else math.ceil(threads_of(settings) / 2)
        name = EMBEDDED if embedded else None
        engine = await asyncio.to_thread(lambda: PiperSynthesizer(file, threads=threads, name=name))
        # A conversation keeps its voice and queues; what needn't wait goes to the next rung.
        admission = AdmissionLimits(shed_beyond=settings.tts_busy_queue_threshold)
        return await _mouth(engine, admission, settings, given_up)

    return Rung("piper", build, check_synthesizer, embedded, files=files)


def _espeak(settings: Settings) -> Rung[Synthesizer]:
    async def build(given_up: GivenUp) -> Synthesizer:
        from brain.engines.tts.espeak import EspeakOptions, EspeakSynthesizer

        options = EspeakOptions(settings.tts_voice, settings.tts_rate_wpm)
        engine = await EspeakSynthesizer.load(options)
        return await _mouth(engine, AdmissionLimits(inflight=_ESPEAKERS), settings, given_up)

    return Rung("espeak", build, check_synthesizer, embedded=True)


async def _mouth(
    engine: Synthesizer, admission: AdmissionLimits, settings: Settings, given_up: GivenUp
) -> Synthesizer:
    await warm(engine, check_synthesizer)
    patience = settings.tts_timeout_s
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
        from brain.engines.recipes.orpheus import load_orpheus, orpheus_at_once

        try:
            engine = await load_orpheus(settings, tell=progress, died=given_up.died)
        except EngineUnavailable as error:
            raise EngineUnavailable(f"Orpheus: {error}") from error
        progress(f"{engine.info.model}, warming up")
        admission = AdmissionLimits(
            inflight=orpheus_at_once(settings), shed_beyond=settings.tts_busy_queue_threshold
        )
        return await _mouth(engine, admission, settings, given_up)

    def files() -> tuple[Path, ...]:
        folder = models_dir(settings.models_dir)
        named = [settings.orpheus_decoder_path]
        if orpheus_runs_on(settings) == "llamacpp":
            named.append(settings.orpheus_model_path)
        return tuple(located(name, folder) for name in named)

    return Rung("orpheus", build, check_synthesizer, files=files, progress=progress)
