"""Speech clips and phonemes from espeak-ng, in process through ctypes.

Needs numpy and `espeakng_loader` only. espeak-ng keeps its voice and its parameters in global
state, so one process has one synthesiser and calls must not overlap (use processes, not threads).
Constants and signatures are those of espeak-ng's public `speak_lib.h` (API revision 12).
"""

from __future__ import annotations

import ctypes
import functools
from dataclasses import dataclass
from pathlib import Path

import espeakng_loader
import numpy as np
from numpy.typing import NDArray

_SYNCHRONOUS = 2
_UTF8 = 1
_PHONEMES_IPA = 0x02
_RATE, _VOLUME, _PITCH, _RANGE, _WORD_GAP = 1, 2, 3, 4, 7


class SpeechError(RuntimeError):
    """espeak-ng refused a voice or a text."""


@dataclass(frozen=True)
class Speaker:
    """How a sentence is spoken.

    voice: espeak voice with an optional variant, such as `en-us+f2`; rate: words a minute
    (80 to 450); pitch and pitch_range: 0 to 99; word_gap: extra pause between words, in units
    of 10 ms at the default rate.
    """

    voice: str = "en-us"
    rate: int = 165
    pitch: int = 50
    pitch_range: int = 50
    word_gap: int = 0


@dataclass
class _Espeak:
    library: ctypes.CDLL
    sample_rate: int
    blocks: list[NDArray[np.int16]]
    callback: object  # kept alive: espeak-ng holds only the bare pointer


@functools.cache
def _espeak(data_dir: str | None = None) -> _Espeak:
    library = ctypes.CDLL(espeakng_loader.get_library_path())
    blocks: list[NDArray[np.int16]] = []

    @ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.c_void_p)
    def on_audio(samples: ctypes._Pointer[ctypes.c_short], count: int, _events: int) -> int:
        if samples and count > 0:
            blocks.append(np.ctypeslib.as_array(samples, shape=(count,)).copy())
        return 0

    data = data_dir or espeakng_loader.get_data_path()
    rate = library.espeak_Initialize(_SYNCHRONOUS, 0, str(data).encode(), 0)
    if rate <= 0:
        raise SpeechError(f"espeak-ng did not start with the data at {data}")
    library.espeak_SetSynthCallback(on_audio)
    library.espeak_TextToPhonemes.restype = ctypes.c_char_p
    library.espeak_TextToPhonemes.argtypes = [
        ctypes.POINTER(ctypes.c_char_p),
        ctypes.c_int,
        ctypes.c_int,
    ]
    return _Espeak(library, rate, blocks, on_audio)


def sample_rate() -> int:
    """Sample rate of what `say` returns, in Hz (22 050 for espeak-ng's formant voices)."""
    return _espeak().sample_rate


def say(text: str, speaker: Speaker) -> NDArray[np.float32]:
    """Speak `text`: float32 [samples], mono, within -1..1, at `sample_rate()` Hz.

    Raises `SpeechError` when the voice is unknown or the text cannot be spoken. The last voice
    set is remembered by espeak-ng; every parameter is set anew on each call.
    """
    state = _espeak()
    _set_voice(speaker.voice)
    for parameter, value in (
        (_RATE, speaker.rate),
        (_VOLUME, 100),
        (_PITCH, speaker.pitch),
        (_RANGE, speaker.pitch_range),
        (_WORD_GAP, speaker.word_gap),
    ):
        state.library.espeak_SetParameter(parameter, value, 0)
    state.blocks.clear()
    raw = text.encode()
    status = state.library.espeak_Synth(raw, len(raw) + 1, 0, 0, 0, _UTF8, None, None)
    state.library.espeak_Synchronize()
    if status != 0 or not state.blocks:
        raise SpeechError(f"espeak-ng said nothing for {text!r} with {speaker.voice}")
    return (np.concatenate(state.blocks) / np.float32(32768.0)).astype(np.float32)


@functools.lru_cache(maxsize=8192)
def phonemes(text: str) -> str:
    """IPA of `text` in plain `en-us`, words apart by spaces, stress marks kept."""
    state = _espeak()
    _set_voice("en-us")
    rest = ctypes.c_char_p(text.encode())
    parts: list[str] = []
    while rest.value is not None:
        part = state.library.espeak_TextToPhonemes(ctypes.byref(rest), _UTF8, _PHONEMES_IPA)
        if part:
            parts.append(part.decode())
    return " ".join(parts)


def variants() -> list[str]:
    """Names of the voice variants that come with the data, sorted."""
    return sorted(p.name for p in (Path(espeakng_loader.get_data_path()) / "voices/!v").iterdir())


def _set_voice(name: str) -> None:
    if _espeak().library.espeak_SetVoiceByName(name.encode()) != 0:
        raise SpeechError(f"espeak-ng knows no voice {name!r}")
