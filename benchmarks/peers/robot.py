"""The one robot that speaks with every server: a microphone that never sleeps, and a stopwatch."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from benchmarks.peers.costs import RATE
from benchmarks.peers.sound import FRAME, Room, Sound, Utterance, first_audible
from benchmarks.peers.wires import Wire

LEAD_S = 0.3
QUIET_S = 0.8
"""Without sound for so long, a reply is over. (None of the servers stops for longer within one.)"""
PATIENCE_S = 20.0


def clock() -> float:
    """The loop's, in s: asyncio's own is `time.monotonic`, which on Linux is one for all processes,
    so engines write it into their logs as well."""
    return asyncio.get_running_loop().time()


@dataclass
class Turn:
    """One turn as the robot saw it. `clock` seconds, None: never.

    `spoken_at`: the last sample of speech is sent. `interrupted_at`: the first sample of an
    interruption is. `sounds`: each piece of audible sound comes, the first of them at its first
    audible sample. `speech_end`: the number of the first sample after the speech, of all that this
    robot has sent. `told`: the other messages, each with its time.
    """

    speaker: str
    spoken_at: float = 0.0
    speech_end: int = 0
    interrupted_at: float | None = None
    sounds: list[float] = field(default_factory=list)
    told: list[tuple[float, dict[str, Any]]] = field(default_factory=list)

    @property
    def latency_ms(self) -> float | None:
        """To the first sound of the reply."""
        return round((self.sounds[0] - self.spoken_at) * 1000, 2) if self.sounds else None

    def last_sound_before(self, moment: float) -> float | None:
        return max((at for at in self.sounds if at <= moment), default=None)


@dataclass(frozen=True)
class Interruption:
    """What is said over a reply, so long after its first sound. `over`: the message that ends the
    reply to that."""

    utterance: Utterance
    after_s: float
    over: Callable[[dict[str, Any]], bool]


class Robot:
    """Speaks over `wire`. Keeps all that it sent: `heard`, int16 at 16 kHz."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire
        self._room = Room()
        self._sent: list[Sound] = []

    @property
    def heard(self) -> Sound:
        return np.concatenate(self._sent) if self._sent else np.zeros(0, np.int16)

    async def ask(
        self,
        utterance: Utterance,
        *,
        patience_s: float = PATIENCE_S,
        interruption: Interruption | None = None,
    ) -> Turn:
        """Say it, and return when the reply is over, to the interruption if there is one; or after
        `patience_s` without one."""
        turn = Turn(utterance.speaker)
        speaking = asyncio.ensure_future(self._speak(utterance, turn, interruption))
        try:
            with contextlib.suppress(asyncio.TimeoutError):
                await self._listen(turn, patience_s, interruption)
        finally:
            speaking.cancel()
            await asyncio.gather(speaking, return_exceptions=True)
        return turn

    async def _speak(
        self, utterance: Utterance, turn: Turn, interruption: Interruption | None
    ) -> None:
        """At the pace of real time: a frame goes when its last sample has been heard."""
        start, sent = clock(), 0

        async def say(frame: Sound) -> float:
            """When its last sample went."""
            nonlocal sent
            sent += 1
            await asyncio.sleep(start + sent * FRAME / RATE - clock())
            self._sent.append(frame)
            now = clock()
            await self._wire.say(frame)
            return now

        for _ in range(round(LEAD_S * RATE / FRAME)):
            await say(self._room.frame())
        for frame in _frames(utterance):
            spoken_at = await say(frame)
        turn.spoken_at = spoken_at
        turn.speech_end = sum(map(len, self._sent))
        while interruption is None or not _due(turn, interruption):
            await say(self._room.frame())
        turn.interrupted_at = clock()
        for frame in _frames(interruption.utterance):
            await say(frame)
        while True:
            await say(self._room.frame())

    async def _listen(
        self, turn: Turn, patience_s: float, interruption: Interruption | None
    ) -> None:
        due = clock() + patience_s
        while (left := due - clock()) > 0:
            item = await asyncio.wait_for(self._wire.hear(), left)
            now = clock()
            if isinstance(item, dict):
                turn.told.append((now, item))
                if interruption is not None and interruption.over(item):
                    return
                continue
            at = first_audible(item)
            # (What comes before the question is asked is no answer to it.)
            if at is None or not turn.spoken_at:
                continue
            turn.sounds.append(now if turn.sounds else now + at / RATE)
            if interruption is None:
                due = now + QUIET_S


def _frames(utterance: Utterance) -> Iterator[Sound]:
    for at in range(0, len(utterance.sound), FRAME):
        yield utterance.sound[at : at + FRAME]


def _due(turn: Turn, interruption: Interruption) -> bool:
    return bool(turn.sounds) and clock() >= turn.sounds[0] + interruption.after_s
