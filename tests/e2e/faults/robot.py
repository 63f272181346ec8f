"""A robot without devices, over a bad network: a microphone that never falls silent, and a speaker.

It says what a test wants it to say and when, which the client's own `Asker` decides for itself.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable
from functools import partial
from typing import TYPE_CHECKING, TypeVar

import numpy as np

from robot_client.connection import Arrival, Connection
from robot_client.conversation import Conversation, Flushed, ToolUsed
from robot_client.messages import ReplyDone, TranscriptAssistant, TranscriptUser
from robot_client.pacing import every_frame
from robot_client.pcm import PCM, room_noise, to_bytes, to_pcm
from robot_client.playback import Playback
from robot_client.reconnect import Backoff
from robot_client.tools import ToolBox

if TYPE_CHECKING:
    from typing_extensions import Self

RATE = 16_000
FRAME = RATE // 50
PATIENCE_S = 45.0  # for a machine with much else to do

E = TypeVar("E")


class Robot:
    """Use as an async context manager. `happened` is all that came of it, in order."""

    def __init__(
        self, url: str | Callable[[], Awaitable[str]], *, backoff: Backoff | None = None
    ) -> None:
        self.connection = Connection(url, backoff=backoff)
        self.happened: list[object] = []
        self._conversation = Conversation(
            self.connection, partial(Playback, RATE), ToolBox(), self._see
        )
        self._noise = room_noise(RATE * 10, -60.0)
        self._saying: PCM = np.zeros(0, np.int16)
        self._news = asyncio.Event()
        self._frames = 0
        self._tasks: list[asyncio.Task[None]] = []

    async def __aenter__(self) -> Self:
        await self.connection.__aenter__()
        self._tasks = [
            asyncio.create_task(self._conversation.run()),
            asyncio.create_task(every_frame(self._tick)),
        ]
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.connection.close()
        self._tasks[1].cancel()
        await asyncio.wait(self._tasks)
        self._tasks[0].result()

    def say(self, sound: PCM) -> None:
        """Begin to say this, int16 at 16 kHz, with the next frame."""
        self._saying = sound

    async def next(self, kind: type[E], since: int, seconds: float = PATIENCE_S) -> E:
        """The first event of a type of those from `happened[since]` on."""

        async def found() -> E:
            while True:
                self._news.clear()
                for event in self.happened[since:]:
                    if isinstance(event, kind):
                        return event
                await self._news.wait()

        try:
            return await asyncio.wait_for(found(), seconds)
        except asyncio.TimeoutError:
            raise AssertionError(f"no {kind.__name__} in {self.happened[since:]}") from None

    async def ask(self, sound: PCM) -> tuple[str, str]:
        """Say something and wait for the whole reply: the words heard, and the reply's."""
        since = len(self.happened)
        self.say(sound)
        return await self.answer(since)

    async def answer(self, since: int) -> tuple[str, str]:
        """The words that were heard, and those of the reply, from `happened[since]` on."""
        heard = await self.next(TranscriptUser, since)
        done = await self.next(ReplyDone, since)
        assert done.reason == "completed", done
        said = await self.next(TranscriptAssistant, since)
        return heard.text, said.text

    def _see(self, seen: Arrival | ToolUsed | Flushed) -> None:
        self.happened.append(seen.event if isinstance(seen, Arrival) else seen)
        self._news.set()

    def _tick(self) -> bool:
        at = self._frames * FRAME
        frame = np.take(self._noise, np.arange(at, at + FRAME), mode="wrap")
        piece, self._saying = self._saying[:FRAME], self._saying[FRAME:]
        frame[: len(piece)] += piece.astype(np.float32) / 32767.0
        self.connection.send_audio(to_bytes(to_pcm(frame)))
        self._conversation.playback.pull(FRAME)
        self._frames += 1
        return True


def same(heard: str, said: str) -> bool:
    """Whether these are the same words, whatever their case and punctuation."""
    return _words(heard) == _words(said)


def _words(text: str) -> list[str]:
    return re.findall(r"\w+", text.lower())
