"""What the line at the bottom shows: how loud the microphone is, and what the robot is about."""

from __future__ import annotations

from typing import Literal

import numpy as np

from robot_client.connection import Disconnected, Stopped
from robot_client.messages import (
    ErrorMessage,
    Ready,
    ReplyDone,
    ReplyStarted,
    SpeechStarted,
    SpeechStopped,
    TranscriptUser,
    TranscriptUserPartial,
    Unattended,
)
from robot_client.pcm import PCM, to_float
from robot_client.screen import clipped, printable
from robot_client.turns import TURN_ENDING_ERRORS

FLOOR_DB = -60.0
PEAK_HOLD_S = 1.5
PEAK_FALL_DB_S = 20.0
BAR = 20
_WORDS = 40
"""Columns of the line for what is being heard."""

Doing = Literal["no brain", "listens", "hears you", "thinks", "speaks"]


class Level:
    """The level of a microphone, dB under full scale: RMS of the last block, and a held peak."""

    def __init__(self) -> None:
        self.db = FLOOR_DB
        self._peak_db = FLOOR_DB
        self._peak_at = 0.0

    def feed(self, pcm: PCM, now: float) -> None:
        """The next block; `now` in seconds."""
        if not len(pcm):
            return
        samples = to_float(pcm)
        self.db = _db(float(np.sqrt(np.mean(samples**2))))
        loudest = _db(float(np.abs(samples).max()))
        if loudest >= self.peak_db(now):
            self._peak_db, self._peak_at = loudest, now

    def peak_db(self, now: float) -> float:
        """The loudest sample of late: held for `PEAK_HOLD_S`, then falling."""
        fallen = max(0.0, now - self._peak_at - PEAK_HOLD_S) * PEAK_FALL_DB_S
        return max(FLOOR_DB, self._peak_db - fallen)


def _db(amplitude: float) -> float:
    return max(FLOOR_DB, 20 * float(np.log10(max(amplitude, 1e-6))))


class Attention:
    """What the robot is about, by what has been heard of the brain."""

    def __init__(self) -> None:
        self._doing: Doing = "no brain"
        self._words = ""

    def see(self, event: object) -> None:
        """An event of the connection."""
        if isinstance(event, (Disconnected, Stopped)):
            self._doing = "no brain"
        elif isinstance(event, (Ready, ReplyDone, Unattended)):
            self._doing = "listens"
        elif isinstance(event, SpeechStarted):
            self._doing, self._words = "hears you", ""
        elif isinstance(event, TranscriptUserPartial):
            self._words = clipped(printable(event.text), _WORDS, keep_end=True)
        elif isinstance(event, (SpeechStopped, TranscriptUser, ReplyStarted)):
            self._doing = "thinks"
        elif isinstance(event, ErrorMessage) and event.code in TURN_ENDING_ERRORS:
            self._doing = "listens"

    def doing(self, *, sounding: bool) -> str:
        """The state in a word or two, and what is being heard; `sounding`: sound waits for the
        speaker."""
        if sounding and self._doing != "no brain":
            return "speaks"
        if self._doing == "hears you" and self._words:
            return f"hears: {self._words}"
        return self._doing


def meter_line(level: Level, doing: str, now: float) -> str:
    """The whole line, in ASCII, for any terminal."""
    peak = level.peak_db(now)
    filled, mark = _cells(level.db), min(BAR - 1, _cells(peak))
    bar = ["#" if i < filled else "-" for i in range(BAR)]
    if peak > FLOOR_DB:
        bar[mark] = "|"
    return f"mic {level.db:4.0f} dB [{''.join(bar)}] peak {peak:4.0f} dB  {doing}"


def _cells(db: float) -> int:
    return round((db - FLOOR_DB) / -FLOOR_DB * BAR)
