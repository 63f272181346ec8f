"""Which engines a set of settings asks for, and what stands below them. Imports none of them."""

from __future__ import annotations

import asyncio
import importlib
import math
from collections.abc import Awaitable, Callable
from contextlib import aclosing
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from brain.engines.admission import AdmissionLimits
from brain.engines.ladder import GivenUp, Rung
from brain.engines.lane import Closable, Lane, LaneLimits
from brain.engines.lane_ports import LaneLanguageModel, LaneSynthesizer, LaneTranscriber
from brain.engines.ports import (
    EngineFailed,
    EngineTimeout,
    EngineUnavailable,
    LanguageModel,
    Message,
    Synthesizer,
    Ticket,
    Transcriber,
)
from brain.settings import Settings

if TYPE_CHECKING:
    from brain.engines.llm.llamacpp import LlamaCppOptions
    from brain.engines.stt.whisper import WhisperOptions

E = TypeVar("E", bound=Closable)

POCKET = Path(__file__).parents[1] / "pocket"
EMBEDDED = "pocket"

# Conversations that stay cached beside those that are under way.
_CACHED_CONVERSATIONS = 4
_POCKET_CONTEXT = 8192
"""Tokens: 3 KB each in the pocket mind's memory."""
_POCKET_LOGPROB = -0.3
"""Heard rightly, the pocket ears are at -0.02 on average and -0.17 at worst in noise at 15 dB; what
they hear in music-like sound is below."""
_WARM_UP = "warm-up"
_WARM_UP_S = 180.0
_GRACE_S = 5.0
"""For a batch of tokens or a block of sound to end after a cancel, on the slowest machine."""


def transcriber_rungs(settings: Settings) -> list[Rung[Transcriber]]:
    """The ears: the Whisper model of the settings, and the embedded one."""
    rungs = []
    if settings.stt_model_size != EMBEDDED:
        rungs.append(_ears(settings, settings.stt_model_size))
    rungs.append(_ears(settings, EMBEDDED))
    return rungs


def language_model_rungs(settings: Settings) -> list[Rung[LanguageModel]]:
    """The mind: the model of the chosen backend, and the embedded one."""
    backend = settings.llm_backend
    rungs = []
    if backend != "llamacpp":
        rungs.append(_missing_mind(backend))
    elif settings.llm_model_path != EMBEDDED:
        rungs.append(_mind(settings, settings.llm_model_path))
    rungs.append(_mind(settings, EMBEDDED))
    return rungs


def synthesizer_rungs(settings: Settings) -> list[Rung[Synthesizer]]:
    """The mouth: the voice of the chosen backend, and those below it; empty for text only."""
    backend = settings.tts_backend
    if backend == "off":
        return []
    rungs = []
    if backend == "orpheus":
        rungs.append(_missing_mouth(backend))
    if backend != "espeak" and settings.piper_voice:
        if settings.piper_voice != EMBEDDED:
            rungs.append(_piper(settings, settings.piper_voice))
        rungs.append(_piper(settings, EMBEDDED))
    rungs.append(_espeak(settings))
    return rungs


# -- ears --------------------------------------------------------------------------------------


def whisper_options(settings: Settings, model: str) -> WhisperOptions:
    """How `model` is run: a name, a folder, or "pocket"."""
    from brain.engines.stt.whisper import WhisperOptions

    if model != EMBEDDED:
        return WhisperOptions(
            model, settings.stt_device, settings.stt_compute_type, settings.cpu_threads
        )
    # Trained on sounds of their own length as well; what they know they know for sure.
    return WhisperOptions(
        model=str(POCKET / "ears"), name=EMBEDDED, pads=False, least_logprob=_POCKET_LOGPROB
    )


def _ears(settings: Settings, model: str) -> Rung[Transcriber]:
    async def build(given_up: GivenUp) -> Transcriber:
        from brain.engines.stt.whisper import WhisperTranscriber

        engine: Transcriber = await WhisperTranscriber.load(whisper_options(settings, model))
        await _warm(engine, check_transcriber)
        # A call of Whisper can't be ended halfway: to let go may take as long as to answer.
        patience = settings.stt_timeout_s
        limits = LaneLimits(first_s=patience, next_s=patience, grace_s=patience)
        return LaneTranscriber(Lane(engine, limits, given_up=given_up))

    return Rung("whisper", build, check_transcriber, embedded=model == EMBEDDED)


async def check_transcriber(engine: Transcriber) -> None:
    """A second of noise through the model: it is loaded, warm, and raises nothing."""
    noise = np.random.default_rng(0).standard_normal(16000) * 0.05
    ticket = Ticket(_WARM_UP)
    await engine.transcribe(noise.astype(np.float32), language="en", ticket=ticket)


# -- mind --------------------------------------------------------------------------------------


def llamacpp_options(settings: Settings, model: str) -> LlamaCppOptions:
    """How `model` is run: a GGUF file, or "pocket". Imports llama.cpp."""
    from brain.engines.llm.llamacpp import LlamaCppOptions
    from brain.engines.llm.sampling import Sampling

    embedded = model == EMBEDDED
    context = settings.llm_context
    return LlamaCppOptions(
        model=POCKET / "mind.gguf" if embedded else Path(model),
        name=EMBEDDED if embedded else "",
        context=max(context, _POCKET_CONTEXT) if embedded else context,
        sequences=settings.llm_max_inflight + _CACHED_CONVERSATIONS,
        gpu_layers=0 if embedded else settings.llm_gpu_layers,
        # Threads wait for one another by spinning: for so small a model that costs more.
        threads=1 if embedded else settings.cpu_threads,
        max_tokens=settings.llm_max_output_tokens,
        sampling=Sampling(temperature=0.0 if embedded else settings.llm_temperature),
    )


def _mind(settings: Settings, model: str) -> Rung[LanguageModel]:
    async def build(given_up: GivenUp) -> LanguageModel:
        await _imported("brain.engines.llm.llamacpp", "llama-cpp-python", "llm")
        from brain.engines.llm.llamacpp import LlamaCppMind

        engine: LanguageModel = await LlamaCppMind.load(llamacpp_options(settings, model))
        if settings.warmup_llm:
            await _warm(engine, check_language_model)
        limits = LaneLimits(
            AdmissionLimits(inflight=settings.llm_max_inflight),
            first_s=settings.llm_timeout_s,
            next_s=settings.llm_timeout_s,
            grace_s=_GRACE_S,
        )
        return LaneLanguageModel(Lane(engine, limits, given_up=given_up))

    return Rung("llamacpp", build, check_language_model, embedded=model == EMBEDDED)


async def check_language_model(engine: LanguageModel) -> None:
    """One token: the model is loaded, its template renders, and it computes."""
    stream = engine.stream([Message("user", "Hello.")], max_tokens=1, ticket=Ticket(_WARM_UP))
    async for _ in stream:
        pass


def _missing_mind(backend: str) -> Rung[LanguageModel]:
    async def build(_: GivenUp) -> LanguageModel:
        raise EngineUnavailable(
            f"LLM_BACKEND={backend} isn't in this version of the brain: choose llamacpp."
        )

    return Rung(backend, build, check_language_model)


# -- mouth -------------------------------------------------------------------------------------


def _piper(settings: Settings, voice: str) -> Rung[Synthesizer]:
    embedded = voice == EMBEDDED

    async def build(given_up: GivenUp) -> Synthesizer:
        await _imported("brain.engines.tts.piper", "piper-tts", "tts")
        from brain.engines.tts.piper import PiperSynthesizer

        file = POCKET / "voice.onnx" if embedded else Path(voice)
        threads = 1 if embedded else math.ceil(settings.cpu_threads / 2)
        name = EMBEDDED if embedded else None
        engine = await asyncio.to_thread(lambda: PiperSynthesizer(file, threads=threads, name=name))
        return await _mouth(engine, settings, given_up)

    return Rung("piper", build, check_synthesizer, embedded)


def _espeak(settings: Settings) -> Rung[Synthesizer]:
    async def build(given_up: GivenUp) -> Synthesizer:
        from brain.engines.tts.espeak import EspeakOptions, EspeakSynthesizer

        options = EspeakOptions(settings.tts_voice, settings.tts_rate_wpm)
        return await _mouth(await EspeakSynthesizer.load(options), settings, given_up)

    return Rung("espeak", build, check_synthesizer, embedded=True)


async def _mouth(engine: Synthesizer, settings: Settings, given_up: GivenUp) -> Synthesizer:
    await _warm(engine, check_synthesizer)
    patience = settings.tts_timeout_s
    limits = LaneLimits(first_s=patience, next_s=patience, grace_s=_GRACE_S)
    return LaneSynthesizer(Lane(engine, limits, given_up=given_up))


async def check_synthesizer(engine: Synthesizer) -> None:
    """A word: the voice is loaded, warm, and sounds."""
    samples = 0
    stream: Any = engine.stream("Hello.", ticket=Ticket(_WARM_UP))
    async with aclosing(stream) as blocks:
        async for block in blocks:
            samples += len(block.samples)
    if not samples:
        raise EngineFailed(f"The voice {engine.info.model} made no sound.")


def _missing_mouth(backend: str) -> Rung[Synthesizer]:
    async def build(_: GivenUp) -> Synthesizer:
        raise EngineUnavailable(
            f"TTS_BACKEND={backend} isn't in this version of the brain: choose piper or espeak."
        )

    return Rung(backend, build, check_synthesizer)


async def _warm(engine: E, check: Callable[[E], Awaitable[None]]) -> None:
    """The first call, which may take long on a GPU; the engine is closed if it fails."""
    try:
        await asyncio.wait_for(check(engine), _WARM_UP_S)
    except asyncio.TimeoutError:
        await engine.close()
        raise EngineTimeout(
            f"{engine.info.name} ({engine.info.model}) didn't warm up in {_WARM_UP_S:g} s."
        ) from None
    except BaseException:
        await engine.close()
        raise


async def _imported(module: str, package: str, extra: str) -> None:
    """Import an adapter off the event loop, where its library takes long to load."""
    try:
        await asyncio.to_thread(importlib.import_module, module)
    except ImportError as error:
        raise EngineUnavailable(
            f"The package {package} isn't usable ({error}): install the brain with its extra "
            f"{extra}."
        ) from error
