"""A word that the robot says while it thinks, so that its silence is never unexplained.

Its sound is made ahead, when the voice has nothing else to do, and kept: the moment in which it is
wanted is the worst one to make it in.
"""

from __future__ import annotations

import asyncio
import logging
from collections import OrderedDict, deque
from collections.abc import Callable, Coroutine
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any

import numpy as np

from brain.audio.pcm import Audio
from brain.audio.resample import resampled
from brain.dialogue.playback import Playback
from brain.dialogue.progress import Block, Brief
from brain.dialogue.reply import pieces
from brain.dialogue.state import Kind
from brain.engines.ports import EngineError, Priority, Synthesizer, Ticket

log = logging.getLogger(__name__)

# Who has been spoken to is owed a sign; nobody waits for the rest.
_FILLED: tuple[Kind, ...] = ("answer", "follow_up")
# What is ready as its reply begins is out in less, and needs no filler before it.
_AT_ONCE_S = 0.05
# Timers may fire this much early, in s.
_EPSILON = 0.002
_KEPT = 64
_LONGEST_S = 4.0

_Key = tuple[str, str, str | None, str]


@dataclass(frozen=True)
class FillerRules:
    """`after_s` the turn's end one of `texts`, in rotation, is said if nothing else has been; None:
    never."""

    after_s: float | None = None
    texts: tuple[str, ...] = ("Hm.",)


@dataclass(frozen=True)
class FillerDue:
    """A timer has fired: call `Speaking.fill`."""

    reply_id: int


class Fillers:
    """The sounds of the house's fillers, of all its robots and their voices."""

    def __init__(self, rules: FillerRules) -> None:
        self.rules = rules
        self._sounds: OrderedDict[_Key, Audio | None] = OrderedDict()
        self._making: set[_Key] = set()

    def wait_s(self, kind: Kind) -> float | None:
        """How long after the end of the turn a reply of this kind may be silent; None: for ever."""
        return self.rules.after_s if kind in _FILLED else None

    def text(self, number: int) -> str:
        """The text whose turn it is."""
        return self.rules.texts[number % len(self.rules.texts)]

    def sound(self, text: str, mouth: Synthesizer, voice: str | None) -> Audio | None:
        """`text` as this voice says it; None if that isn't known, or is nothing."""
        return self._sounds.get(_key(text, mouth, voice))

    def wanted(self, mouth: Synthesizer, voice: str | None) -> bool:
        """Whether `make` has something to do."""
        if self.rules.after_s is None:
            return False
        keys = {_key(text, mouth, voice) for text in self.rules.texts}
        return bool(keys - self._sounds.keys() - self._making)

    async def make(self, mouth: Synthesizer, voice: str | None, ticket: Ticket) -> None:
        """Have the texts spoken that haven't been. What can't be now is left for another time."""
        for text in self.rules.texts:
            key = _key(text, mouth, voice)
            if key in self._sounds or key in self._making:
                continue
            self._making.add(key)
            try:
                sound = await _spoken(text, mouth, voice, ticket)
            except EngineError as error:
                log.debug("the filler %r waits for a better moment: %s", text, error)
                return
            finally:
                self._making.discard(key)
            if _key(text, mouth, voice) == key:  # else another voice has taken that one's place
                self._sounds[key] = sound
                while len(self._sounds) > _KEPT:
                    self._sounds.popitem(last=False)


def unhurried(robot: str) -> Ticket:
    """For `make`: whoever has something to say goes first."""
    return Ticket(robot, Priority.SPECULATION)


class Filler:
    """The fillers of one robot's replies, of which one is under way at a time: a part of its voice.

    `post` gets a `FillerDue` when one is due, or more of it. Times by the loop's clock, in s.
    """

    def __init__(
        self,
        fillers: Fillers,
        robot: str,
        mouth: Synthesizer | None,
        *,
        lead_s: float,
        post: Callable[[FillerDue], None],
    ) -> None:
        self.begun = False
        self._fillers = fillers
        self._robot, self._mouth = robot, mouth
        self._lead_s, self._post = lead_s, post
        self._reply_id = self._said = 0
        self._left: deque[Audio] = deque()
        self._timer: asyncio.TimerHandle | None = None

    def making(self, voice: str | None) -> Coroutine[Any, Any, None] | None:
        """What has the missing sounds made; None: nothing is missing."""
        if self._mouth is None or not self._fillers.wanted(self._mouth, voice):
            return None
        return self._fillers.make(self._mouth, voice, unhurried(self._robot))

    def expect(self, kind: Kind, reply_id: int, over_at: float) -> None:
        """A reply begins, to a turn that was over at this time."""
        self.close()
        self.begun, self._reply_id = False, reply_id
        self._left.clear()
        wait_s = self._fillers.wait_s(kind)
        if self._mouth is not None and wait_s is not None:
            self._wait_until(max(over_at + wait_s, _now() + _AT_ONCE_S))

    def begin(self, brief: Brief, playback: Playback) -> str | None:
        """The word that is to be said in this reply; None: its sound isn't there."""
        assert self._mouth is not None
        text = self._fillers.text(self._said)
        sound = self._fillers.sound(text, self._mouth, brief.voice)
        if sound is None:
            return None
        self.begun = True
        self._said += 1
        block = Block(brief.reply_id, resampled(sound, brief.output_sample_rate))
        self._left.extend(piece.audio for piece in pieces(block) if piece.audio is not None)
        playback.owed = block.audio.seconds if block.audio is not None else 0.0
        return text

    def next(self, playback: Playback, *, whole: bool) -> Audio | None:
        """The piece of it that is to be sent now, `whole`: however early that is."""
        if not self._left:
            return None
        early = playback.ahead(_now()) + self._left[0].seconds - self._lead_s
        if early > _EPSILON and not whole:
            self._wait_until(_now() + early)
            return None
        piece = self._left.popleft()
        playback.owed = sum(left.seconds for left in self._left)
        return piece

    def close(self) -> None:
        """Nothing is waited for any more."""
        if self._timer is not None:
            self._timer.cancel()

    def _wait_until(self, when: float) -> None:
        due = FillerDue(self._reply_id)
        self._timer = asyncio.get_running_loop().call_at(when, self._post, due)


def _now() -> float:
    return asyncio.get_running_loop().time()


def _key(text: str, mouth: Synthesizer, voice: str | None) -> _Key:
    # (Where one voice fails another takes its place.)
    return mouth.info.name, mouth.info.model, voice, text


async def _spoken(text: str, mouth: Synthesizer, voice: str | None, ticket: Ticket) -> Audio | None:
    blocks: list[Audio] = []
    async with aclosing(mouth.stream(text, voice=voice, ticket=ticket)) as stream:
        async for block in stream:
            blocks.append(block)
            if sum(made.seconds for made in blocks) > _LONGEST_S:
                log.warning("THINKING_FILLER_TEXTS: %r takes over %g s to say", text, _LONGEST_S)
                break
    if not blocks:
        return None
    return Audio(np.concatenate([block.samples for block in blocks]), blocks[0].sample_rate)
