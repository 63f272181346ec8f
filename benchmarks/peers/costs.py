"""What engines cost and say in these measurements: the same for every server.

Imported in the peers' own environments as well, so it needs nothing but numpy.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

RATE = 16_000
"""Hz, of all sound here, up and down: nobody has to resample."""

QUESTION = "When does the museum open?"
REPLY = (
    "Good question, the museum opens at nine today."
    " You can take the bus from the station and be there in ten minutes."
)
STORY_REQUEST = "Please tell me a long story about a robot in a garden, I have got all day."
_SENTENCE = " Then the robot went a little further down the path and looked at the next flower."
STORY = "Once upon a time, there was a robot in a garden." + 20 * _SENTENCE
"""Long enough that the language model and the voice are busy when somebody interrupts."""

LONG_QUESTION_S = 3.6
"""What the ears hear longer than this is the request for the story (they are sent what the server
kept around the words as well, up to 2 s around a question of 1 s; the request takes 4 s)."""

_BLOCK_S = 0.1
_SECONDS_PER_LETTER = 0.01  # a reply is short: the next turn is what is waited for
_LOUD = 6000


@dataclass(frozen=True)
class Costs:
    """All in seconds. `stt`: an utterance; `first_token`, `token`: of the language model;
    `first_sound`: of the voice, a call; `block`: each later 100 ms of sound."""

    stt: float
    first_token: float
    token: float
    first_sound: float
    block: float


FIXED = Costs(stt=0.150, first_token=0.200, token=0.025, first_sound=0.100, block=0.050)
ZERO = Costs(0, 0, 0, 0, 0)
BY_NAME = {"fixed": FIXED, "zero": ZERO}


def heard(seconds: float) -> str:
    """What the ears make of so much sound."""
    return STORY_REQUEST if seconds > LONG_QUESTION_S else QUESTION


def answer(words: str) -> str:
    """What the language model says to that."""
    return STORY if "story" in words else REPLY


def tokens(text: str) -> list[str]:
    """`text` in the pieces that the language model makes of it: words, with the space before."""
    words = text.split(" ")
    return [word if i == 0 else " " + word for i, word in enumerate(words)]


def blocks(text: str) -> list[NDArray[np.int16]]:
    """The sound of `text` in blocks of 100 ms: int16 [n] at 16 kHz, loud from its first ms on."""
    count = round(len(text) * _SECONDS_PER_LETTER * RATE)
    tone = _LOUD * np.sin(2 * np.pi * 440.0 * np.arange(1, count + 1) / RATE)
    step = round(_BLOCK_S * RATE)
    return [tone[at : at + step].astype(np.int16) for at in range(0, count, step)]
