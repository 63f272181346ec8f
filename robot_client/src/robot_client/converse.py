"""A conversation over `/converse` that lasts: the supervisor says when an utterance has ended."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from robot_client import requests
from robot_client.converse_messages import RATE, Message, parse
from robot_client.link import Disconnected, Link, Stopped, Wire
from robot_client.outbox import Outbox
from robot_client.reconnect import Backoff

if TYPE_CHECKING:
    from typing_extensions import Self

# The brain takes no longer utterance; sound may be given as fast as the caller has it.
KEEP_S = 30.0

ConverseEvent = Message | Disconnected | Stopped


@dataclass(frozen=True)
class Heard:
    """An event and when it came, in `time.monotonic()` seconds."""

    at: float
    event: ConverseEvent


class Converse:
    """One robot's conversation with the brain at `base_url` (http://HOST:PORT).

    Use as an async context manager; read `events()` all the time, and wait for `Listening` before
    the first word. A connection that breaks comes back by itself, with growing delays; what was
    said of an unfinished utterance is gone then. `Stopped` is the last event: a newer session has
    this robot's id (close code 4001), or a person must look. `clock` gives seconds; `sleep`,
    `backoff` and `clock` are for tests.
    """

    def __init__(
        self,
        base_url: str,
        robot_id: str,
        *,
        token: str | None = None,
        vad: bool | None = None,
        backoff: Backoff | None = None,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.session_seq = -1  # of the newest connection; the first has 0
        self._base = base_url.rstrip("/").replace("http", "ws", 1)
        self._robot_id = robot_id
        self._vad = vad
        self._clock = clock
        wire = Wire(
            url=self._url,
            hello=lambda: None,
            decoder=lambda: parse,
            sound=requests.audio,
            keeps_sound=False,
        )
        self._link: Link[Message] = Link(
            wire, Outbox(RATE, KEEP_S), token=token, backoff=backoff, sleep=sleep
        )

    async def __aenter__(self) -> Self:
        self._link.open()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()

    @property
    def connected(self) -> bool:
        """Whether a socket is open now."""
        return self._link.connected

    @property
    def bad_messages(self) -> int:
        """Frames from the brain that could not be read."""
        return self._link.bad_messages

    @property
    def shed_samples(self) -> int:
        """Samples that were never sent: more than 30 s waited, or the connection broke."""
        return self._link.outbox.shed_samples

    def send_audio(self, pcm: bytes) -> bool:
        """Microphone sound, 16-bit little-endian mono at 16 kHz. False: there is no brain now.

        Never blocks; of what waits to be sent the last 30 s are kept. Raises `ValueError` for half
        a sample.
        """
        if len(pcm) % 2:
            raise ValueError(f"{len(pcm)} bytes of sound: an odd number, not 16-bit samples")
        if not self._link.connected:
            return False
        self._link.send_sound(pcm)
        return True

    def end_utterance(self) -> bool:
        """The turn ends now. False if there is no brain; so do all of these."""
        return self._link.send(requests.end_utterance())

    def text(self, words: str) -> bool:
        """A turn typed rather than spoken."""
        return self._link.send(requests.text(words))

    def cancel(self) -> bool:
        """Stop the reply that is under way."""
        return self._link.send(requests.cancel())

    def profile(self, who: str | Mapping[str, Any]) -> bool:
        """Who is speaking, as text or as fields, for the brain to bear in mind."""
        return self._link.send(json.dumps({"type": "profile", "profile": who}))

    async def events(self) -> AsyncIterator[Heard]:
        """Everything that happens, in order, until `Stopped` or `close()`."""
        async for at, event in self._link.events():
            yield Heard(at, event)

    async def close(self) -> None:
        """Close the socket and end every task. Nothing is sent afterwards. Twice is once."""
        await self._link.close()

    async def _url(self) -> str:
        self.session_seq += 1
        query = {
            "robot_id": self._robot_id,
            "session_seq": self.session_seq,
            "session_monotonic_ts_ms": int(self._clock() * 1000),
        }
        if self._vad is not None:
            query["vad"] = int(self._vad)
        return f"{self._base}/converse?{urlencode(query)}"
