"""What the robot's microphone hears, and when its speaker has something to play."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from benchmarks.peers.costs import RATE, STORY_REQUEST
from brain.audio.pcm import to_int16
from brain.ops.check_ears import Speaker
from brain.ops.check_sounds import pink
from brain.ops.check_voices import speak

FRAME = RATE // 50
"""Samples of a microphone's frame: 20 ms."""

Sound = NDArray[np.int16]

_WOMAN, _MAN = Speaker("en-us+f5", 163, 46), Speaker("en-gb+m3", 150, 40)
_QUESTIONS = (
    ("What is your name?", _WOMAN),
    ("What can you do?", _MAN),
    ("Who made you?", _WOMAN),
    ("Tell me a joke.", _MAN),
)
_LEVEL = 0.3
_NOISE_DBFS = -60.0
_NOISE_S = 20
_SPEECH_LEVEL = 0.01  # of the loudest sample: below is breath and fade
_AUDIBLE = 330  # -40 dBFS


@dataclass(frozen=True)
class Utterance:
    """Somebody says something. `sound` int16 [n] at 16 kHz, room noise in it; its first sample of
    speech begins a frame of the microphone and its last one ends one, and there is nothing else."""

    speaker: str
    words: str
    sound: Sound

    @property
    def seconds(self) -> float:
        return len(self.sound) / RATE


def questions() -> list[Utterance]:
    """Short ones, by two speakers that no model of ours was trained on."""
    return [_utterance(words, who, seed) for seed, (words, who) in enumerate(_QUESTIONS)]


def story_request() -> Utterance:
    """What is answered at length."""
    return _utterance(STORY_REQUEST, _WOMAN, 7)


class Room:
    """Endless pink noise at -60 dBFS, the same each time: what a microphone hears of silence."""

    def __init__(self) -> None:
        noise = pink(np.random.default_rng(99), _NOISE_S * RATE, RATE)
        self._noise = to_int16(noise * 10 ** (_NOISE_DBFS / 20))
        self._at = 0

    def frame(self) -> Sound:
        """The next 20 ms."""
        frame = self._noise[self._at : self._at + FRAME]
        self._at = (self._at + FRAME) % len(self._noise)
        return frame


def first_audible(samples: Sound) -> int | None:
    """The index of the first sample that isn't silence (-40 dBFS), None if all is."""
    loud = np.flatnonzero(np.abs(samples.astype(np.int32)) > _AUDIBLE)
    return int(loud[0]) if len(loud) else None


def _utterance(words: str, speaker: Speaker, seed: int) -> Utterance:
    voice = speak(words, speaker)
    voice = _LEVEL * voice / np.abs(voice).max()
    loud = np.flatnonzero(np.abs(voice) > _SPEECH_LEVEL * _LEVEL)
    first, last = int(loud[0]), int(loud[-1]) + 1
    # To whole frames, at the front: the end is what is timed.
    first -= (first - last) % FRAME
    speech = np.concatenate((np.zeros(max(0, -first), np.float32), voice[max(0, first) : last]))
    noise = pink(np.random.default_rng(seed), len(speech), RATE) * 10 ** (_NOISE_DBFS / 20)
    return Utterance(str(speaker), words, to_int16(speech + noise))
