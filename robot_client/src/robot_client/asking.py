"""A robot without devices: asks recorded or typed questions at real-time pace, records both sides.

It has a microphone that never falls silent (room noise) and a speaker that takes 20 ms a frame,
both on one clock, so what it records of the two sides lies on one time line.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial

import numpy as np

from robot_client import requests
from robot_client.connection import Arrival, Connection, Disconnected, Stopped
from robot_client.conversation import Conversation, Flushed, ToolUsed
from robot_client.messages import DEFAULT_SAMPLE_RATE, Ready
from robot_client.pacing import FRAME_MS, every_frame
from robot_client.pcm import PCM, room_noise, speech_bounds, to_bytes, to_pcm
from robot_client.playback import Playback
from robot_client.tools import ToolBox
from robot_client.turns import Turn, TurnLog, all_answered

RATE = DEFAULT_SAMPLE_RATE
FRAME = RATE * FRAME_MS // 1000
LEAD_IN_S = 0.5
SETTLE_S = 0.8  # between a reply and the next question: a half-duplex brain is deaf for a tail


class NoBrainError(RuntimeError):
    """There is no brain that would talk to this robot; the message says why."""


@dataclass
class Question:
    """Something to ask: sound at 16 kHz, or words to type.

    `interrupt_after_ms`: the next question comes when so much of the reply has been sent to the
    speaker, rather than after its end.
    """

    label: str
    sound: PCM | None = None
    words: str = ""
    interrupt_after_ms: float | None = None


@dataclass
class Asked:
    """A question as it was asked. Times are `time.monotonic()` seconds, at the sending."""

    question: Question
    started_at: float
    speech_started_at: float | None = None
    speech_ended_at: float | None = None  # the last sample of speech (by energy), or the text
    gave_up: bool = False
    turns: list[Turn] = field(default_factory=list)

    @property
    def heard(self) -> str | None:
        """What the brain heard; None if nothing. Of a typed question, its words once answered."""
        words = [turn.heard for turn in self.turns if turn.heard]
        if not words and self.question.sound is None and any(t.replies for t in self.turns):
            return self.question.words
        return " ".join(words) or None

    @property
    def voice_to_voice_ms(self) -> float | None:
        """From sending the last sample of speech to receiving the first sample of the reply."""
        first = min((t.first_sound_at for t in self.turns if t.first_sound_at), default=None)
        if first is None or self.speech_ended_at is None:
            return None
        return (first - self.speech_ended_at) * 1000


@dataclass
class Recording:
    """A whole conversation. Both sides are at 16 kHz and begin at `started_at`."""

    started_at: float
    microphone: PCM
    speaker: PCM
    asked: list[Asked]
    log: TurnLog
    ready: Ready | None
    stopped: str | None


Watch = Callable[[Arrival | ToolUsed | Flushed], None]


class Asker:
    """Asks its questions, one after another, over a connection that is open.

    patience_s: how long after the end of a question nothing may happen before it is given up;
    noise_dbfs: level of the room noise (RMS); on_frame: gets each frame of 20 ms that the
    microphone has given and that the speaker takes.
    """

    def __init__(
        self,
        connection: Connection,
        questions: Sequence[Question],
        tools: ToolBox,
        *,
        watch: Watch | None = None,
        noise_dbfs: float = -60.0,
        patience_s: float = 20.0,
        on_frame: Callable[[PCM, PCM], None] | None = None,
    ) -> None:
        self._connection = connection
        self._waiting = list(questions)
        self._watch = watch or (lambda _event: None)
        self._patience_s = patience_s
        self._on_frame = on_frame or (lambda _microphone, _speaker: None)
        # The spectrum's inverse is periodic, so the noise can go round without a seam.
        self._noise = room_noise(RATE * 10, noise_dbfs)
        self._conversation = Conversation(connection, partial(Playback, RATE), tools, self._see)
        self._log = TurnLog()
        self._asked: list[Asked] = []
        self._ready: Ready | None = None
        self._ready_event = asyncio.Event()
        self._stopped: str | None = None
        self._lost = ""
        self._talking: asyncio.Task[None] | None = None
        self._frames = 0
        self._microphone: list[PCM] = []
        self._speaker: list[PCM] = []
        self._position = 0  # samples of the current question that have been sent
        self._bounds = (0, 0)
        self._quiet_since: float | None = None
        self._happened_at = 0.0

    async def run(self, wait_s: float = 10.0) -> Recording:
        """Ask everything. Raises `NoBrainError` if no brain is ready within `wait_s`."""
        talking = asyncio.create_task(self._conversation.run(), name="robot-client conversation")
        self._talking = talking
        try:
            ready = asyncio.create_task(self._ready_event.wait())
            await asyncio.wait(
                {ready, talking}, timeout=wait_s, return_when=asyncio.FIRST_COMPLETED
            )
            ready.cancel()
            if self._ready is None:
                last = f"; {self._lost}" if self._lost else ""
                why = self._stopped or f"no brain was ready within {wait_s:g} s{last}"
                raise NoBrainError(why)
            started_at = time.monotonic()
            await every_frame(self._tick)
        finally:
            await self._connection.close()
            await talking
        silence = np.zeros(0, np.int16)
        return Recording(
            started_at,
            np.concatenate([silence, *self._microphone]),
            # What is pulled at the end of a frame comes out of a speaker during the next.
            np.concatenate([np.zeros(FRAME, np.int16), *self._speaker]),
            self._asked,
            self._log,
            self._ready,
            self._stopped,
        )

    def _see(self, seen: Arrival | ToolUsed | Flushed) -> None:
        now = seen.at if isinstance(seen, Arrival) else time.monotonic()
        event = seen.event if isinstance(seen, Arrival) else seen
        self._happened_at = now
        self._log.add(now, event)
        if isinstance(event, Ready):
            self._ready = event
            self._ready_event.set()
        elif isinstance(event, Stopped):
            self._stopped = event.reason
        elif isinstance(event, Disconnected):
            self._lost = event.reason
        self._watch(seen)

    def _tick(self) -> bool:
        """One frame of both sides. False when everything has been asked and answered."""
        now = time.monotonic()
        at = self._frames * FRAME
        frame = np.take(self._noise, np.arange(at, at + FRAME), mode="wrap")
        frame += self._question_frame(now)
        sound = to_pcm(frame)
        self._connection.send_audio(to_bytes(sound))
        self._microphone.append(sound)
        self._speaker.append(self._conversation.playback.pull(FRAME))
        self._on_frame(sound, self._speaker[-1])
        self._frames += 1
        return self._advance(now)

    def _question_frame(self, now: float) -> np.typing.NDArray[np.float32]:
        frame = np.zeros(FRAME, np.float32)
        asked = self._asked[-1] if self._asked else None
        if asked is None or asked.question.sound is None:
            return frame
        piece = asked.question.sound[self._position : self._position + FRAME]
        frame[: len(piece)] = piece.astype(np.float32) / 32768.0
        end = self._position + len(piece)
        first, last = self._bounds
        if asked.speech_started_at is None and end > first:
            asked.speech_started_at = now
        if asked.speech_ended_at is None and end >= last:
            asked.speech_ended_at = now
        self._position = end
        return frame

    # -- what comes next -----------------------------------------------------------------------

    def _advance(self, now: float) -> bool:
        if self._talking is None or self._talking.done():
            return False  # the connection gave up
        if not self._asked:
            if self._frames * FRAME >= LEAD_IN_S * RATE:
                self._ask_next(now)
            return bool(self._asked or self._waiting)
        asked = self._asked[-1]
        asked.turns = [t for t in self._log.turns if t.opened_at >= asked.started_at]
        if self._still_asking(asked):
            self._quiet_since = None
            return True
        if self._interrupts(asked):
            self._ask_next(now)
            return True
        asked.gave_up = self._nothing_happens(asked, now)
        if not asked.gave_up and not self._settled(asked, now):
            self._quiet_since = None
            return True
        self._quiet_since = self._quiet_since or now
        if now - self._quiet_since < SETTLE_S:
            return True
        return self._ask_next(now)

    def _ask_next(self, now: float) -> bool:
        if not self._waiting:
            return False
        question = self._waiting.pop(0)
        asked = Asked(question, now)
        self._asked.append(asked)
        self._quiet_since = None
        self._position = 0
        if question.sound is None:
            self._connection.send(requests.text(question.words))
            asked.speech_started_at = asked.speech_ended_at = now
        else:
            self._bounds = speech_bounds(question.sound, RATE)
        return True

    def _still_asking(self, asked: Asked) -> bool:
        return asked.question.sound is not None and self._position < len(asked.question.sound)

    def _interrupts(self, asked: Asked) -> bool:
        """Whether the next question is due in the middle of this one's reply."""
        after = asked.question.interrupt_after_ms
        first = min((t.first_sound_at for t in asked.turns if t.first_sound_at), default=None)
        if after is None or first is None or not self._waiting:
            return False
        return (time.monotonic() - first) * 1000 >= after

    def _nothing_happens(self, asked: Asked, now: float) -> bool:
        since = max(self._happened_at, asked.speech_ended_at or asked.started_at)
        return now - since > self._patience_s

    def _settled(self, asked: Asked, now: float) -> bool:
        if self._conversation.tools_running or not self._conversation.playback.empty:
            return False
        return all_answered(asked.turns, now, self._happened_at, self._patience_s)
