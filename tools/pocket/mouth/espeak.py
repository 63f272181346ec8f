"""Speech with known phoneme times: espeak-ng, spoken to in-process.

The library is the one of `espeakng_loader` (1.52); the data is piper's own, so that the phonemes
that are aligned are those that piper will ask the voice for. The event layout is that of
espeak-ng's `speak_lib.h`.
"""

from __future__ import annotations

import ctypes
import unicodedata
from dataclasses import dataclass

import espeakng_loader
import numpy as np
import piper.phonemize_espeak as piper_espeak
from numpy.typing import NDArray
from piper.phoneme_ids import DEFAULT_PHONEME_ID_MAP

RATE = 22_050
"""Sample rate of espeak-ng and of the voice, Hz."""
VOICE = "en-us"
WORDS_PER_MINUTE = 165
PITCH = 50
LEAD_S = 0.03
"""Silence kept before the first phoneme; it belongs to the start token."""
TAIL_S = 0.15
"""Silence kept after the last phoneme; it belongs to the end token."""

_SYNCHRONOUS = 2
_PHONEME_EVENTS_IPA = 1 | 2
_CHARS_UTF8 = 1
_PARAM_RATE, _PARAM_PITCH = 1, 3
_EVENT_END, _EVENT_PHONEME = 0, 7
_STRESS = frozenset("ˈˌʲ")
"""Tokens without a sound of their own (espeak-ng writes a linking glide but times none)."""
_GAPS = frozenset(" ,.;:!?-")


class _EventId(ctypes.Union):
    _fields_ = [("number", ctypes.c_int), ("name", ctypes.c_char_p), ("string", ctypes.c_char * 8)]


class _Event(ctypes.Structure):
    _fields_ = [
        ("type", ctypes.c_int),
        ("unique_identifier", ctypes.c_uint),
        ("text_position", ctypes.c_int),
        ("length", ctypes.c_int),
        ("audio_position", ctypes.c_int),
        ("sample", ctypes.c_int),
        ("user_data", ctypes.c_void_p),
        ("id", _EventId),
    ]


_CALLBACK = ctypes.CFUNCTYPE(
    ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.POINTER(_Event)
)


@dataclass(frozen=True)
class Spoken:
    """One sentence with the time of each of its tokens."""

    text: str
    tokens: tuple[str, ...]
    """Start token `^`, the phonemes as piper gives them, end token `$`."""
    durations: NDArray[np.float32]
    """Samples a token, not rounded; they sum to the length of `samples`."""
    samples: NDArray[np.int16]


class AlignmentError(ValueError):
    """The sounds that espeak made don't match the phonemes that piper names."""


class Speaker:
    """The espeak-ng library, set to one voice. One a process: the library is global."""

    def __init__(self) -> None:
        self._lib = ctypes.CDLL(espeakng_loader.get_library_path())
        data = str(piper_espeak.ESPEAK_DATA_DIR).encode()
        if self._lib.espeak_Initialize(_SYNCHRONOUS, 0, data, _PHONEME_EVENTS_IPA) != RATE:
            raise RuntimeError("espeak-ng did not start at 22,050 Hz")
        self._callback = _CALLBACK(self._receive)
        self._lib.espeak_SetSynthCallback(self._callback)
        self._lib.espeak_SetVoiceByName(VOICE.encode())
        self._lib.espeak_SetParameter(_PARAM_RATE, WORDS_PER_MINUTE, 0)
        self._lib.espeak_SetParameter(_PARAM_PITCH, PITCH, 0)
        self._phonemizer = piper_espeak.EspeakPhonemizer()
        self._pcm: list[NDArray[np.int16]] = []
        self._phones: list[tuple[int, str]] = []

    def _receive(self, wav: object, count: int, events: object) -> int:
        if wav:
            self._pcm.append(np.ctypeslib.as_array(wav, (count,)).copy())
        index = 0
        while events[index].type != _EVENT_END:  # type: ignore[index]
            event = events[index]  # type: ignore[index]
            if event.type == _EVENT_PHONEME:
                ipa = bytes(event.id.string).split(b"\0")[0].decode("utf-8", "ignore")
                self._phones.append((event.sample, ipa))
            index += 1
        return 0

    def speak(self, text: str) -> tuple[NDArray[np.int16], list[tuple[int, str]]]:
        """Return int16 samples at 22,050 Hz and `(sample, ipa)` of each phoneme's start."""
        self._pcm, self._phones = [], []
        encoded = text.encode() + b"\0"
        self._lib.espeak_Synth(
            encoded, ctypes.c_size_t(len(encoded)), 0, 1, 0, _CHARS_UTF8, None, None
        )
        self._lib.espeak_Synchronize()
        return np.concatenate(self._pcm) if self._pcm else np.zeros(0, np.int16), self._phones

    def phonemes(self, text: str) -> list[list[str]]:
        """Piper's phonemes of `text`, a list a sentence."""
        return self._phonemizer.phonemize(VOICE, text)

    def align(self, text: str) -> Spoken:
        """Say one sentence and time its tokens.

        Raises AlignmentError if piper takes it for another number of sentences, or the sounds
        don't match.
        """
        sentences = [s for s in self.phonemes(text) if s]
        if len(sentences) != 1:
            raise AlignmentError(f"{len(sentences)} sentences: {text!r}")
        tokens = sentences[0]
        if any(token not in DEFAULT_PHONEME_ID_MAP for token in tokens):
            raise AlignmentError(f"a phoneme without an id: {text!r}")
        samples, phones = self.speak(text)
        spans = _spans(phones, len(samples))
        durations = _assign(tokens, spans, text)
        return _trim(text, tokens, durations, samples)


def _spans(phones: list[tuple[int, str]], total: int) -> list[tuple[str, float, float]]:
    """Split every event into codepoints: `(codepoint or "" for a pause, start, length)`."""
    spans: list[tuple[str, float, float]] = []
    for index, (start, ipa) in enumerate(phones):
        end = phones[index + 1][0] if index + 1 < len(phones) else total
        points = [c for c in unicodedata.normalize("NFD", ipa) if c in DEFAULT_PHONEME_ID_MAP]
        sounding = [c for c in points if c not in _STRESS and c not in _GAPS]
        length = max(0, end - start)
        if not sounding:
            spans.append(("", float(start), float(length)))
            continue
        share = length / len(sounding)
        for place, point in enumerate(sounding):
            spans.append((point, start + place * share, share))
    return spans


def _assign(tokens: list[str], spans: list[tuple[str, float, float]], text: str) -> list[float]:
    """Give each token its samples; index 0 is the start token, -1 the end token."""
    durations = [0.0] * (len(tokens) + 2)
    position = 0
    for symbol, start, length in spans:
        if not symbol:
            # A pause: it belongs to the first gap token after the last sound, or to the edges.
            if position == 0:
                durations[0] += length
                continue
            gap = position
            while gap < len(tokens) and tokens[gap] in _STRESS:
                gap += 1
            if gap < len(tokens) and tokens[gap] in _GAPS:
                durations[gap + 1] += length
            elif gap >= len(tokens):
                durations[-1] += length
            else:
                durations[position] += length  # a glottal gap inside a word
            continue
        while position < len(tokens) and (tokens[position] in _STRESS or tokens[position] in _GAPS):
            position += 1
        if position >= len(tokens) or tokens[position] != symbol:
            found = tokens[position] if position < len(tokens) else "the end"
            raise AlignmentError(f"{symbol!r} against {found!r} in {text!r}")
        durations[position + 1] += length
        position += 1
        if position == 1:
            durations[0] += start if durations[0] == 0.0 else 0.0
    if any(t not in _STRESS and t not in _GAPS for t in tokens[position:]):
        raise AlignmentError(f"sounds are missing at the end of {text!r}")
    return durations


def _trim(
    text: str, tokens: list[str], durations: list[float], samples: NDArray[np.int16]
) -> Spoken:
    """Cut or pad the edges to LEAD_S and TAIL_S, so that every clause starts and ends alike."""
    lead, tail = round(LEAD_S * RATE), round(TAIL_S * RATE)
    last = max((i for i, t in enumerate(tokens) if t not in _STRESS and t not in _GAPS), default=-1)
    if last < 0:
        raise AlignmentError(f"nothing to say in {text!r}")
    begin = round(durations[0])
    end = round(sum(durations[: last + 2]))
    body = samples[begin:end].astype(np.int16)
    before = samples[max(0, begin - lead) : begin]
    after = samples[end : end + tail]
    padded = np.concatenate(
        [
            np.zeros(lead - len(before), np.int16),
            before,
            body,
            after,
            np.zeros(tail - len(after), np.int16),
        ]
    )
    times = np.array(durations, np.float32)
    times[0] = lead
    times[last + 2 :] = 0.0
    times[-1] = len(padded) - float(times[:-1].sum())
    return Spoken(text, ("^", *tokens, "$"), times, padded)
