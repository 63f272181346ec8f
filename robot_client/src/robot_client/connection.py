"""A connection to the brain's `/ws` that lasts. It knows nothing of devices."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from types import TracebackType
from typing import TYPE_CHECKING

from robot_client import requests
from robot_client.link import Disconnected, Link, Stopped, Wire
from robot_client.messages import Message
from robot_client.outbox import Outbox
from robot_client.parsing import Decoder
from robot_client.reconnect import Backoff
from robot_client.requests import Session

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = ["Arrival", "Connection", "Disconnected", "Event", "Stopped"]

Event = Message | Disconnected | Stopped


@dataclass(frozen=True)
class Arrival:
    """An event and when it came, in `time.monotonic()` seconds."""

    at: float
    event: Event


class Connection:
    """Speaks `/ws` for as long as it is open, over as many sockets as that takes.

    Use as an async context manager; read `events()` all the time. Each new socket is told the
    session first, then the kept sound. `url`: the address, or what is asked for it before each
    socket (a `robot_client.address.Locator`; its OSError means that there is none now).
    `binary_audio` sends microphone sound as raw PCM frames rather than base64. `token` goes as a
    bearer token. `sleep`, `clock` (seconds) and `backoff` are for tests.
    """

    def __init__(
        self,
        url: str | Callable[[], Awaitable[str]],
        *,
        session: Session | None = None,
        token: str | None = None,
        binary_audio: bool = True,
        keep_s: float = 1.0,
        backoff: Backoff | None = None,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.url = url
        self.session = session or Session()
        wire = Wire(
            url=self._url,
            hello=lambda: requests.session(self.session),
            decoder=lambda: Decoder().decode,
            sound=(lambda pcm: pcm) if binary_audio else requests.audio,
            keeps_sound=True,
        )
        outbox = Outbox(self.session.input_rate, keep_s)
        self._link: Link[Message] = Link(
            wire, outbox, token=token, backoff=backoff, sleep=sleep, clock=clock
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
    def sockets(self) -> int:
        """How many sockets have been opened so far.

        A call or reply that came over another one than the last is over: a brain that has been
        started anew counts from 1 again, and may mean another by the same id.
        """
        return self._link.sockets

    @property
    def bad_messages(self) -> int:
        """Frames from the brain that could not be read."""
        return self._link.bad_messages

    @property
    def shed_samples(self) -> int:
        """Samples of microphone sound that were never sent, there being no brain to take them."""
        return self._link.outbox.shed_samples

    def send_audio(self, pcm: bytes) -> None:
        """Microphone sound, 16-bit little-endian mono at the session's input rate.

        Never blocks. Without a brain the last `keep_s` seconds wait for it, and older sound is
        shed; so are they, if the microphone has been off since. Raises `ValueError` for half a
        sample.
        """
        self._link.send_sound(pcm)

    def send(self, frame: str) -> bool:
        """A frame of `robot_client.requests`. False if there is no brain now: it isn't kept.

        Never blocks. Raises `ValueError` for a frame over the wire's limit of 1 MiB.
        """
        return self._link.send(frame)

    def update(self, changes: Session) -> bool:
        """Change the session, now and for every socket to come. What is None stays.

        False if there is no brain now; the next one will hear of it. Raises `ValueError`, and
        changes nothing, for a session that would be over the wire's limit of 1 MiB.
        """
        before = self.session.input_rate
        session = self.session.merged(changes)
        if (size := len(requests.session(session).encode())) > requests.MAX_MESSAGE_BYTES:
            raise ValueError(f"a session of {size} bytes; the brain takes what fits a message")
        self.session = session
        if self.session.input_rate != before:
            # What waits has the old rate; sent after the change it would be noise.
            self._link.outbox.change_rate(self.session.input_rate)
        return self.send(requests.session(changes))

    def mute(self, *, on: bool = True) -> bool:
        """Have the brain not listen to the microphone, or again. It holds for every socket to come.

        The sound is best not sent meanwhile, either. False if there is no brain now.
        """
        self.session = self.session.merged(Session(muted=on))
        return self.send(requests.mute() if on else requests.unmute())

    async def events(self) -> AsyncIterator[Arrival]:
        """Everything that happens, in order, until `Stopped` or `close()`."""
        async for at, event in self._link.events():
            yield Arrival(at, event)

    async def close(self) -> None:
        """Close the socket and end every task. Nothing is sent afterwards. Twice is once."""
        await self._link.close()

    async def _url(self) -> str:
        return self.url if isinstance(self.url, str) else await self.url()
