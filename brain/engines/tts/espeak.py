"""espeak-ng in this process: the voice that needs no model, and the last rung of the mouth.

The library is one for the process and not thread-safe; all engines here share it under one lock.
(Piper carries a copy of its own, which is another library.)
"""

from __future__ import annotations

import ctypes
import math
import threading
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from dataclasses import dataclass
from functools import cache, partial
from typing import Any

import numpy as np

from brain.audio.pcm import Audio
from brain.engines.ports import (
    Cancelled,
    CancelToken,
    Emotion,
    EngineFailed,
    EngineInfo,
    EngineUnavailable,
    Ticket,
)
from brain.engines.tts.prosody import Prosody, prosody
from brain.engines.tts.speakable import pieces, readable
from brain.engines.worker import Worker

# From espeak-ng's speak_lib.h.
_SYNCHRONOUS = 2
_DONT_EXIT = 0x8000
_CHARS_UTF8 = 1
_POSITION_CHARACTER = 1
_RATE, _PITCH, _RANGE = 1, 3, 4
_MIDDLE, _MOST = 50, 100
_SLOWEST, _FASTEST = 80, 450
_OK = 0
_BLOCK_MS = 60

# Measured on its English voice: steps of pitch in an octave, and how far a livelier melody
# (twice the range) raises the middle of it.
_STEPS_PER_OCTAVE = 68
_RISE = 0.11

_FALLBACK_VOICE = "en-us"
_LOCK = threading.Lock()
_Callback = ctypes.CFUNCTYPE(
    ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.c_void_p
)


class _Voice(ctypes.Structure):
    """The beginning of espeak-ng's espeak_VOICE."""

    _fields_ = (
        ("name", ctypes.c_char_p),
        ("languages", ctypes.c_char_p),
        ("identifier", ctypes.c_char_p),
    )


@dataclass(frozen=True)
class EspeakOptions:
    """`voice`: a language or voice of espeak-ng; `rate_wpm`: words a minute."""

    voice: str = _FALLBACK_VOICE
    rate_wpm: int = 165


class EspeakSynthesizer:
    """A `Synthesizer`. Made by `load`. An emotion changes rate, pitch and melody."""

    def __init__(self, options: EspeakOptions, worker: Worker, voices: tuple[str, ...]) -> None:
        self._options = options
        self._worker = worker
        self._voices = voices
        self._closed = False

    @classmethod
    async def load(cls, options: EspeakOptions) -> EspeakSynthesizer:
        """Start the library. Raises `EngineUnavailable`; an unknown voice becomes en-us."""
        worker = Worker("espeak")
        try:
            known = await worker.run(_known_voices)
        except BaseException:
            await worker.close()
            raise
        default = options.voice if options.voice in known else _FALLBACK_VOICE
        voices = (default, *sorted(known - {default}))
        return cls(options, worker, voices)

    @property
    def info(self) -> EngineInfo:
        return EngineInfo("espeak", f"espeak-ng {self._voices[0]}", "cpu")

    @property
    def voices(self) -> tuple[str, ...]:
        return self._voices

    async def stream(
        self, text: str, *, voice: str | None = None, emotion: Emotion | None = None, ticket: Ticket
    ) -> AsyncGenerator[Audio, None]:
        """As `Synthesizer.stream`."""
        if self._closed:
            raise EngineUnavailable("espeak is closed.")
        ticket.cancel.raise_if_cancelled()
        chosen = voice if voice in self._voices else self._voices[0]
        words = readable(text)
        if not words:
            return

        manner = _manner(str(chosen), self._options.rate_wpm, prosody(emotion))
        # A piece at a time: callers with long texts take turns with the others.
        for piece in pieces(words):
            speak = partial(speak_blocks, piece, manner, ticket.cancel)
            async with aclosing(self._worker.gather(speak)) as blocks:
                async for block in blocks:
                    # It is far ahead of any listener: what waits here was made before the cancel.
                    ticket.cancel.raise_if_cancelled()
                    yield block

    async def close(self) -> None:
        """As `Synthesizer.close`. The library itself (2 MB) stays: it can't be loaded twice."""
        self._closed = True
        await self._worker.close()


@cache
def _library() -> tuple[Any, int]:
    """The library, started, and its sample rate in Hz. Under `_LOCK`."""
    try:
        import espeakng_loader
    except ImportError as error:
        raise EngineUnavailable(
            "The package espeakng-loader isn't installed: install the brain with its extra tts."
        ) from error
    try:
        library = ctypes.CDLL(espeakng_loader.get_library_path())
        data = str(espeakng_loader.get_data_path())
    except (OSError, RuntimeError) as error:
        raise EngineUnavailable(f"espeak-ng can't be loaded: {error}") from error
    rate = library.espeak_Initialize(_SYNCHRONOUS, _BLOCK_MS, data.encode(), _DONT_EXIT)
    if rate <= 0:
        raise EngineUnavailable(f"espeak-ng doesn't start with the data in {data} (code {rate}).")
    library.espeak_ListVoices.restype = ctypes.POINTER(ctypes.POINTER(_Voice))
    library.espeak_Synth.argtypes = (
        ctypes.c_char_p,
        ctypes.c_size_t,
        ctypes.c_uint,
        ctypes.c_int,
        ctypes.c_uint,
        ctypes.c_uint,
        ctypes.c_void_p,
        ctypes.c_void_p,
    )
    return library, int(rate)


def _known_voices() -> frozenset[str]:
    """Languages, such as "en-us", that espeak-ng has voices for."""
    with _LOCK:
        library, _ = _library()
        listed = library.espeak_ListVoices(None)
        voices = set()
        index = 0
        while listed[index]:
            # A byte of priority, then the name of the language, ended by a zero.
            languages = listed[index].contents.languages
            if languages:
                voices.add(languages[1:].decode("ascii", "replace"))
            index += 1
        return frozenset(voices | {_FALLBACK_VOICE})


@dataclass(frozen=True)
class Manner:
    """How to speak, in espeak-ng's own units: words a minute, and 0..100 with 50 in the middle."""

    voice: str
    rate_wpm: int
    pitch: int = _MIDDLE
    range: int = _MIDDLE


def _manner(voice: str, rate_wpm: int, prosody: Prosody) -> Manner:
    rise = 1 + _RISE * (prosody.variation - 1)
    pitch = _MIDDLE + _STEPS_PER_OCTAVE * math.log2(prosody.pitch / rise)
    return Manner(
        voice,
        _within(_SLOWEST, rate_wpm * prosody.rate, _FASTEST),
        _within(0, pitch, _MOST),
        _within(0, _MIDDLE * prosody.variation, _MOST),
    )


def _within(least: int, value: float, most: int) -> int:
    return min(max(round(value), least), most)


def speak_blocks(
    text: str, manner: Manner, cancel: CancelToken, give: Callable[[Audio], bool]
) -> None:
    """Say `text` block by block, on the calling thread, until `give` says no.

    Raises `Cancelled`, `EngineFailed`, `EngineUnavailable`.
    """
    problem: list[BaseException] = []
    with _LOCK:
        cancel.raise_if_cancelled()
        library, sample_rate = _library()

        def take(sound: Any, count: int, _events: Any) -> int:
            if cancel.cancelled:
                return 1
            if not sound or count <= 0:
                return 0
            try:
                # Copied: the library writes the next block in the same place.
                samples = np.ctypeslib.as_array(sound, (count,)).astype(np.int16, copy=True)
                return 0 if give(Audio(samples, sample_rate)) else 1
            except BaseException as error:  # noqa: BLE001 - C can't pass it on; raised below
                problem.append(error)
                return 1

        callback = _Callback(take)
        library.espeak_SetSynthCallback(callback)
        if library.espeak_SetVoiceByName(manner.voice.encode()) != _OK:
            library.espeak_SetVoiceByName(_FALLBACK_VOICE.encode())
        # All of them each time: the library keeps what the last caller set.
        library.espeak_SetParameter(_RATE, manner.rate_wpm, 0)
        library.espeak_SetParameter(_PITCH, manner.pitch, 0)
        library.espeak_SetParameter(_RANGE, manner.range, 0)
        data = text.encode("utf-8")
        # Without the flag for SSML: what looks like mark-up is read out.
        code = library.espeak_Synth(
            data, len(data) + 1, 0, _POSITION_CHARACTER, 0, _CHARS_UTF8, None, None
        )
    if problem:
        raise problem[0]
    if cancel.cancelled:
        raise Cancelled("cancelled")
    if code != _OK:
        raise EngineFailed(f"espeak-ng failed (code {code}).")
