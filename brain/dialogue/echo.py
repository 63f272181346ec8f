"""Is it more than the robot's own voice? By loudness: what of it comes back, and how late.

The sound that is sent and the sound of the microphone are compared by their energies, in hops of
8 ms. What is heard of the robot's own voice is a sum of what was sent before: so much of it 100 ms
ago, so much 108 ms ago, and so on, as delay, loudspeaker and room have it. These shares are learnt,
while the robot speaks, from what is heard then (Richardson and Lucy's rule: it keeps them positive,
and needs no other knowledge of the room). What is louder than their sum can be somebody else. All
that is pure arithmetic: times come in, in seconds of any one clock.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from brain.audio.pcm import Audio

HOP_S = 0.008
_HOP = 128  # samples at 16 kHz
_FRAME_HOPS = 4

_EARLY = 4  # hops by which the clock of the loudspeaker may be late
_LATE = np.arange(-_EARLY, 80)  # hops after which an echo, and its tail, may be heard
_SHARES = len(_LATE)
_SILENT = 1e-9  # energy

_MEMORY = 500  # hops that are looked back on: 4 s
_ENOUGH = 90  # hops, before anything is concluded
_EVERY = 8  # frames between two conclusions
_ROUNDS = 12  # of the rule, each time
_STRONG = 10**-2.5  # of the loudest: what is fainter tells nothing of how well it is foreseen

_UNKNOWN_DB = 6.0  # an echo that isn't known yet may be so much louder than what was sent
_SPREAD = 97.0  # percentile of frames that are louder than foreseen
_MOST_SPREAD_DB = 9.0
_BEGINS_DB = 3.0  # louder than that by so much is somebody else,
_GOES_ON_DB = 0.0  # who is heard on from there
_NOISE = 4.0  # times the faintest that is heard is still noise


@dataclass(frozen=True)
class Estimate:
    """How the robot's sound comes back: so loud, after so long. None: not known yet.

    `spread_db`: what is heard is hardly ever louder than foreseen by more.
    """

    gain_db: float | None = None
    delay_s: float | None = None
    spread_db: float = _UNKNOWN_DB


class EchoModel:
    """One microphone beside one loudspeaker.

    `lead_s`: sound is known at most so long before it is played. The memory is bounded by that.
    """

    def __init__(self, *, lead_s: float) -> None:
        self.estimate = Estimate()
        self._shares: NDArray[np.float64] | None = None
        self._noise = 0.0
        # Energy sent, by hop of the clock, in a ring.
        self._size = int((lead_s + 2.0) / HOP_S) + 4 * _SHARES
        self._sent = np.zeros(self._size)
        self._written_to = 0
        # What was heard while something was sent, in a ring, too: which hop, its energy, whether it
        # was taken for echo, and what was sent before it.
        self._hops = np.zeros(_MEMORY, np.int64)
        self._heard = np.zeros(_MEMORY)
        self._echo = np.zeros(_MEMORY, bool)
        self._before = np.zeros((_MEMORY, _SHARES))
        self._rows = 0
        self._frames = 0

    def sent(self, audio: Audio, at: float) -> None:
        """This sound begins to be played at `at`."""
        if not len(audio.samples):
            return
        hops = np.floor((at + np.arange(len(audio.samples)) / audio.sample_rate) / HOP_S)
        first = int(hops[0])
        loud = np.square(audio.samples.astype(np.float64) / 32768.0)
        energy = np.bincount((hops - first).astype(np.int64), weights=loud)
        self._forget_to(first + len(energy))
        where = (first + np.arange(len(energy))) % self._size
        self._sent[where] += energy / (HOP_S * audio.sample_rate)

    def louder_than_echo(
        self, frame: NDArray[np.float32], end: float, *, speech: bool, goes_on: bool
    ) -> bool:
        """Whether there is more than echo in `frame`, float32 [512] in -1..1 at 16 kHz, whose last
        sample was heard at `end`. `speech`: of it the detector is sure; `goes_on`: somebody else
        has been heard just before. Frames come in order."""
        now = int(end / HOP_S)
        self._forget_to(now + _EARLY + 1)
        hops = now - _FRAME_HOPS + 1 + np.arange(_FRAME_HOPS)
        before = self._sent[(hops[:, np.newaxis] - _LATE) % self._size]
        if before.max() <= _SILENT:
            return True
        energy = np.square(frame.astype(np.float64)).reshape(_FRAME_HOPS, _HOP).mean(axis=1)
        louder = float(energy.mean()) > self._foreseen(before, goes_on)
        rows = (self._rows + np.arange(_FRAME_HOPS)) % _MEMORY
        self._hops[rows], self._heard[rows], self._before[rows] = hops, energy, before
        self._echo[rows] = not (louder and speech)
        self._rows += _FRAME_HOPS
        self._frames += 1
        if self._frames % _EVERY == 0:
            self._conclude()
        return louder

    def was_echo(self, seconds: float) -> None:
        """What was heard in the last `seconds` was the robot's own voice after all."""
        self._echo |= self._hops >= self._hops.max() - int(seconds / HOP_S)
        self._conclude()

    def _foreseen(self, before: NDArray[np.float64], goes_on: bool) -> float:
        """The most energy that can be the robot's own in a frame."""
        if self._shares is None:
            return float(before.max()) * _ratio(_UNKNOWN_DB)
        margin = self.estimate.spread_db + (_GOES_ON_DB if goes_on else _BEGINS_DB)
        return float((before @ self._shares).mean()) * _ratio(margin) + _NOISE * self._noise

    def _conclude(self) -> None:
        """Learn the shares from what was echo."""
        rows = self._echo & (np.arange(_MEMORY) < self._rows)
        if np.count_nonzero(rows) < _ENOUGH:
            return
        heard, before = self._heard[rows], self._before[rows]
        if np.count_nonzero(before.max(axis=1) > _STRONG * before.max()) < _ENOUGH:
            return
        shares = self._shares
        if shares is None:
            shares = np.full(_SHARES, heard.sum() / before.sum())
        shares = shares + 1e-3 * shares.mean()  # what is 0 could never grow
        self._noise = float(np.percentile(heard, 10))
        weights = before.sum(axis=0) + _SILENT
        for _ in range(_ROUNDS):
            told = before @ shares + self._noise + _SILENT
            shares = shares * (before.T @ (heard / told)) / weights
        self._shares = shares
        self._judge_itself(heard, before @ shares)

    def _judge_itself(self, heard: NDArray[np.float64], told: NDArray[np.float64]) -> None:
        """How well was foreseen what was heard?"""
        shares = self._shares
        assert shares is not None
        count = len(heard) // _FRAME_HOPS
        frames, foreseen = (
            hops[: count * _FRAME_HOPS].reshape(count, _FRAME_HOPS).mean(axis=1)
            for hops in (heard, told)
        )
        strong = foreseen > max(_STRONG * float(foreseen.max()), _SILENT)
        if not strong.any():  # a microphone that hears nothing
            return
        spread = float(np.percentile(_db(frames[strong] / foreseen[strong]), _SPREAD))
        self.estimate = Estimate(
            gain_db=float(_db(shares.sum())),
            delay_s=float(_LATE[int(np.argmax(shares))] * HOP_S),
            spread_db=min(max(spread, 0.0), _MOST_SPREAD_DB),
        )

    def _forget_to(self, hop: int) -> None:
        """Make room in the ring for hops before `hop`: nothing has been sent there yet."""
        first = max(self._written_to, hop - self._size)
        if first < hop:
            self._sent[np.arange(first, hop) % self._size] = 0.0
            self._written_to = hop


def _ratio(db: float) -> float:
    return float(10 ** (db / 10))


def _db(energy: NDArray[np.float64]) -> NDArray[np.float64]:
    levels: NDArray[np.float64] = 10 * np.log10(np.maximum(energy, _SILENT))
    return levels


class ArrivalClock:
    """When sound of a stream was heard, by when its chunks came: late they may be, early never."""

    def __init__(self, *, chunks: int = 50) -> None:
        self.seconds = 0.0
        self._late: deque[float] = deque(maxlen=chunks)

    def arrived(self, seconds: float, now: float) -> None:
        """A chunk of so many seconds has come."""
        self.seconds += seconds
        self._late.append(now - self.seconds)

    def time_of(self, position: float) -> float:
        """When what lies `position` seconds after the stream's beginning was heard."""
        return position + min(self._late, default=0.0)
