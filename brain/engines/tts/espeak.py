"""espeak-ng in this process: the voice that needs no model, and the last rung of the mouth.

The library is one for the process and not thread-safe; all engines here share it under one lock.
(Piper carries a copy of its own, which is another library.)
"""

from __future__ import annotations

import ctypes
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np

from brain.audio.pcm import Audio
from brain.engines.ports import (
    Cancelled,
    CancelToken,
    EngineFailed,
    EngineInfo,
    EngineUnavailable,
    Ticket,
)
from brain.engines.tts.speakable import readable
from brain.engines.worker import Worker

# From espeak-ng's speak_lib.h.
_SYNCHRONOUS = 2
_DONT_EXIT = 0x8000
_CHARS_UTF8 = 1
_POSITION_CHARACTER = 1
_RATE = 1
_OK = 0
_BLOCK_MS = 60

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
    """A `Synthesizer`. Made by `load`. Emotions are not spoken."""

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
        return EngineInfo("espeak", f"espeak-ng {self._voices[0]}")

    @property
    def voices(self) -> tuple[str, ...]:
        return self._voices

    async def stream(
        self, text: str, *, voice: str | None = None, emotion: str | None = None, ticket: Ticket
    ) -> AsyncIterator[Audio]:
        """As `Synthesizer.stream`."""
        del emotion
        if self._closed:
            raise EngineUnavailable("espeak is closed.")
        ticket.cancel.raise_if_cancelled()
        chosen = voice if voice in self._voices else self._voices[0]
        words = readable(text)
        if not words:
            return

        def speak(give: Callable[[Audio], bool]) -> None:
            _speak(words, str(chosen), self._options.rate_wpm, ticket.cancel, give)

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


def _speak(
    text: str, voice: str, rate_wpm: int, cancel: CancelToken, give: Callable[[Audio], bool]
) -> None:
    """Say `text` block by block, on the engine's thread. Raises `Cancelled`, `EngineFailed`."""
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
        if library.espeak_SetVoiceByName(voice.encode()) != _OK:
            library.espeak_SetVoiceByName(_FALLBACK_VOICE.encode())
        library.espeak_SetParameter(_RATE, rate_wpm, 0)
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
