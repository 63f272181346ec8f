"""A robot of the fleet: it asks, asks again what nobody answered, and checks what it is told."""

from __future__ import annotations

import asyncio
import random
import re
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from robot_client import requests
from robot_client.connection import Connection
from robot_client.link import Disconnected, Stopped
from robot_client.messages import (
    Message,
    Ready,
    ReplyDone,
    ReplyStarted,
    TranscriptAssistant,
    TranscriptUser,
)
from robot_client.requests import Session

PATIENCE_S = 40.0
MOST_TRIES = 6
AGAIN_S = 0.5
_CHUNK_S = 0.1
_MARK = re.compile(r"\d{5,}")


@dataclass(frozen=True)
class Failed:
    """A question that came to nothing, and was asked again. Times are `time.monotonic()`."""

    asked_at: float
    ended_at: float
    why: str


@dataclass
class Robot:
    """`sound`: 16 kHz PCM of a question; None: it types. `asked` are the marks of its turns, in
    order; `answered` those that it was answered, when and by which brain; `told` what each answer
    told of."""

    number: int
    url: Callable[[], Awaitable[str]]
    questions: int
    pause_s: float
    sound: bytes | None = None
    asked: list[str] = field(default_factory=list)
    answered: dict[str, tuple[float, str]] = field(default_factory=dict)
    told: list[tuple[str, list[str]]] = field(default_factory=list)
    failed: list[Failed] = field(default_factory=list)
    replies: list[tuple[int, int]] = field(default_factory=list)
    resumed: list[bool] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)
    stopped: str = ""
    brains: list[str] = field(default_factory=list)
    _there: asyncio.Event = field(default_factory=asyncio.Event)
    _outcome: asyncio.Future[str] | None = None
    _text: str = ""

    @property
    def at_ease(self) -> bool:
        """It has all its answers, or is connected and can ask for more."""
        return len(self.answered) == self.questions or self._there.is_set()

    async def live(self, on_answer: Callable[[], None]) -> None:
        """Ask all questions. `on_answer` is called after each."""
        rng = random.Random(self.number)
        await asyncio.sleep(rng.uniform(0, self.pause_s))
        session = Session(input_sample_rate=16_000, tools=[])
        async with Connection(self._where, session=session) as connection:
            reading = asyncio.ensure_future(self._read(connection))
            try:
                for question in range(1, self.questions + 1):
                    await self._ask(connection, question)
                    on_answer()
                    await asyncio.sleep(rng.uniform(0.5, 1.5) * self.pause_s)
            finally:
                reading.cancel()
                await asyncio.gather(reading, return_exceptions=True)

    async def _ask(self, connection: Connection, question: int) -> None:
        attempt, failed = 0, len(self.failed)
        while not self.stopped and len(self.failed) < failed + MOST_TRIES:
            await self._there.wait()
            began, self._text = time.monotonic(), ""
            self._outcome = asyncio.get_running_loop().create_future()
            mark = f"{self.number:03}{question:02}{attempt % 10}"
            attempt += 1
            if self.sound is not None:
                await self._speak(connection, self.sound)
            elif connection.send(requests.text(f"question {mark}")):
                self.asked.append(mark)
            else:
                self._there.clear()
                continue
            asked_at = time.monotonic()
            try:
                why = await asyncio.wait_for(self._outcome, PATIENCE_S)
            except asyncio.TimeoutError:
                why = "no answer"
            marks = _MARK.findall(self._text)
            if why == "completed" and marks:
                self.answered[marks[-1]] = (time.monotonic(), self.brains[-1])
                self.told.append((marks[-1], marks))
                self.seconds.append(time.monotonic() - asked_at)
                return
            self.failed.append(Failed(began, time.monotonic(), f"{why} {self._text}"))
            await asyncio.sleep(AGAIN_S)

    async def _where(self) -> str:
        self.brains.append(await self.url())
        return self.brains[-1]

    async def _speak(self, connection: Connection, sound: bytes) -> None:
        size = int(_CHUNK_S * 16_000) * 2
        start = time.monotonic()
        for index in range(0, len(sound), size):
            connection.send_audio(sound[index : index + size])
            due = start + (index // size + 1) * _CHUNK_S
            await asyncio.sleep(max(0.0, due - time.monotonic()))

    async def _read(self, connection: Connection) -> None:
        async for arrival in connection.events():
            self._learn(arrival.event)

    def _learn(self, event: Message | Disconnected | Stopped) -> None:
        match event:
            case Ready():
                self.resumed.append(event.resumed)
                self._there.set()
            case Disconnected():
                self._there.clear()
                self._end(event.reason)
            case Stopped():
                self.stopped = event.reason
                self._there.set()
                self._end(event.reason)
            case TranscriptUser() if self.sound is not None:
                self.asked += _MARK.findall(event.text)
            case ReplyStarted():
                self.replies.append((event.turn, event.reply_id))
            case TranscriptAssistant():
                self._text = event.text
            case ReplyDone():
                self._end(event.reason)

    def _end(self, why: str) -> None:
        if self._outcome is not None and not self._outcome.done():
            self._outcome.set_result(why)

    def faults(
        self, excused: Callable[[Failed], bool], may_lack: Callable[[float, str], bool]
    ) -> list[str]:
        """What is wrong with what this robot has lived through; empty if nothing is.

        `excused`: whether a failure was in flight when something was killed. `may_lack`: whether
        what was answered then by that brain may be missing in what is told later.
        """
        who = f"robot {self.number}"
        found = [f"{who} gave up: {self.stopped}"] if self.stopped else []
        if len(self.answered) != self.questions:
            found.append(f"{who}: {len(self.answered)} of {self.questions} answered")
        found += [f"{who}: {bad}" for bad in self.failed if not excused(bad)]
        for mark, told in self.told:
            if mark not in self.asked:
                found.append(f"{who} was told of {mark}, which it never asked")
                continue
            due = self.asked[: self.asked.index(mark) + 1]
            here = iter(due)
            if not all(one in here for one in told):
                found.append(f"{who} was told {told} of {due}")
            lacking = [
                one for one in due
                if one in self.answered and one not in told and not may_lack(*self.answered[one])
            ]  # fmt: skip
            if lacking:
                found.append(f"{who}: {lacking} forgotten at {mark}: {told}")
        turns, replies = [turn for turn, _ in self.replies], [reply for _, reply in self.replies]
        if turns != sorted(set(turns)) or replies != sorted(set(replies)):
            found.append(f"{who}: numbers don't rise: {self.replies}")
        return found

    def forgotten(self) -> int:
        """Answered turns that the last answer no longer knew of."""
        return len(set(self.answered) - set(self.told[-1][1])) if self.told else 0
