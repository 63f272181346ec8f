"""A socket to the brain that lasts: it reconnects for ever, and knows neither wire nor devices."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake

from robot_client.outbox import Outbox, Sound
from robot_client.parsing import MessageError
from robot_client.reconnect import Backoff, GiveUp, Retry, after_close
from robot_client.requests import MAX_MESSAGE_BYTES

log = logging.getLogger(__name__)

PING_S = 5.0  # pings go out this often and must be answered as fast, so 10 s finds a dead link
OPEN_S = 5.0
CLOSE_S = 2.0
MAX_WAITING = 256  # messages not yet read by the caller; then the socket is no longer read either

M = TypeVar("M")


@dataclass(frozen=True)
class Disconnected:
    """There is no brain at the moment; the next try comes in `retry_in_s` seconds."""

    reason: str
    retry_in_s: float


@dataclass(frozen=True)
class Stopped:
    """The connection has given up, because trying again can't help. The last event."""

    reason: str


@dataclass(frozen=True)
class Wire(Generic[M]):
    """One protocol: what a `Link` must know of it.

    `url` and `hello` are asked anew for each socket; `hello` (None: nothing) is sent first.
    `decoder` makes what turns the frames of one socket into messages, and raises `MessageError`.
    `sound` makes a frame of PCM. `keeps_sound`: sound that found no brain is for the next one.
    """

    url: Callable[[], str]
    hello: Callable[[], str | None]
    decoder: Callable[[], Callable[[str | bytes], M]]
    sound: Callable[[bytes], str | bytes]
    keeps_sound: bool


class Link(Generic[M]):
    """Speaks one protocol for as long as it is open, over as many sockets as that takes.

    `open()` it, read `events()` all the time, `close()` it. Events come with their time, in
    `time.monotonic()` seconds. `sleep` and `backoff` are for tests.
    """

    def __init__(
        self,
        wire: Wire[M],
        outbox: Outbox,
        *,
        token: str | None = None,
        backoff: Backoff | None = None,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self.outbox = outbox
        self.bad_messages = 0
        self.closed = False
        self._wire = wire
        self._headers = {"Authorization": f"Bearer {token}"} if token else None
        self._waiting = asyncio.Event()
        self._arrivals: asyncio.Queue[tuple[float, M | Disconnected | Stopped]] = asyncio.Queue(
            MAX_WAITING
        )
        self._backoff = backoff or Backoff()
        self._sleep = sleep
        self._task: asyncio.Task[None] | None = None
        self._connected = False

    # -- the caller's side -------------------------------------------------------------------

    def open(self) -> None:
        """Begin to connect. Once only; raises `RuntimeError` for a second time."""
        if self.closed or self._task is not None:
            raise RuntimeError("a connection is opened once")
        self._task = asyncio.create_task(self._run(), name="robot-client connection")

    @property
    def connected(self) -> bool:
        """Whether a socket is open now."""
        return self._connected and not self.closed

    def send_sound(self, pcm: bytes) -> None:
        """Sound, for as long as the outbox keeps it. Raises `ValueError` for half a sample."""
        if self.closed:
            return
        self.outbox.add_sound(pcm)
        self._waiting.set()

    def send(self, frame: str) -> bool:
        """A text frame. False if there is no brain now: it isn't kept.

        Never blocks. Raises `ValueError` for a frame over the wire's limit of 1 MiB.
        """
        size = len(frame.encode())
        if size > MAX_MESSAGE_BYTES:
            raise ValueError(f"a message of {size} bytes; the brain takes {MAX_MESSAGE_BYTES}")
        if not self.connected:
            return False
        self.outbox.add_control(frame)
        self._waiting.set()
        return True

    async def events(self) -> AsyncIterator[tuple[float, M | Disconnected | Stopped]]:
        """Everything that happens, in order, until `Stopped` or `close()`."""
        if self._task is None:
            raise RuntimeError("open the connection first")
        while True:
            if self._arrivals.empty():
                if self._task.done():
                    break
                get = asyncio.ensure_future(self._arrivals.get())
                try:
                    await asyncio.wait({get, self._task}, return_when=asyncio.FIRST_COMPLETED)
                finally:
                    if not get.done():
                        get.cancel()
                if not get.done() or get.cancelled():
                    continue
                yield get.result()
            else:
                yield self._arrivals.get_nowait()
        if not self._task.cancelled():
            self._task.result()  # a bug in this file must not pass for a quiet end

    async def close(self) -> None:
        """Close the socket and end every task. Nothing is sent afterwards. Twice is once."""
        self.closed = True
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait({self._task})

    # -- the brain's side --------------------------------------------------------------------

    async def _run(self) -> None:
        while True:
            verdict = await self._one_socket()
            if isinstance(verdict, GiveUp):
                await self._tell(Stopped(verdict.reason))
                return
            delay = self._backoff.next_delay(verdict.after_s)
            await self._tell(Disconnected(verdict.reason, delay))
            await self._sleep(delay)

    async def _one_socket(self) -> Retry | GiveUp:
        url = self._wire.url()
        try:
            async with connect(
                url,
                additional_headers=self._headers,
                compression=None,  # sound doesn't shrink, and the robot has better uses for its CPU
                proxy=None,  # the brain is on the local network
                open_timeout=OPEN_S,
                ping_interval=PING_S,
                ping_timeout=PING_S,
                close_timeout=CLOSE_S,
                max_size=4 * MAX_MESSAGE_BYTES,
            ) as socket:
                try:
                    return await self._converse(socket)
                finally:
                    await socket.close()  # with 1000; left to the context it says 1011
        except (OSError, EOFError, InvalidHandshake, asyncio.TimeoutError) as error:
            return Retry(f"no brain at {url}: {error or type(error).__name__}")

    async def _converse(self, socket: ClientConnection) -> Retry | GiveUp:
        self.outbox.drop_control()
        if not self._wire.keeps_sound:
            self.outbox.drop_sound()
        if (hello := self._wire.hello()) is not None:
            try:
                await socket.send(hello)
            except ConnectionClosed as closed:
                return _verdict(closed)
        self._connected = True
        reader = asyncio.create_task(self._read(socket), name="robot-client reader")
        writer = asyncio.create_task(self._write(socket), name="robot-client writer")
        both = {reader, writer}
        try:
            await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
            # What the brain said before it closed is still to be read.
            await asyncio.wait({reader}, timeout=CLOSE_S)
        finally:
            self._connected = False
            for task in both:
                task.cancel()
            await asyncio.wait(both)
        for task in (reader, writer):
            if not task.cancelled() and (verdict := task.result()) is not None:
                return verdict
        return Retry("the connection broke")

    async def _read(self, socket: ClientConnection) -> Retry | GiveUp:
        decode = self._wire.decoder()
        while True:
            try:
                frame = await socket.recv()
            except ConnectionClosed as closed:
                return _verdict(closed)
            self._backoff.reset()
            try:
                message = decode(frame)
            except MessageError as bad:
                self.bad_messages += 1
                log.warning("the brain sent a message that can't be read: %s", bad)
                continue
            await self._tell(message)

    async def _write(self, socket: ClientConnection) -> Retry | GiveUp:
        while True:
            item = self.outbox.take()
            if item is None:
                self._waiting.clear()
                await self._waiting.wait()
                continue
            try:
                frame = self._wire.sound(item.pcm) if isinstance(item, Sound) else item.frame
                await socket.send(frame)
            except ConnectionClosed as closed:
                if isinstance(item, Sound):
                    self.outbox.put_back(item)
                return _verdict(closed)

    async def _tell(self, event: M | Disconnected | Stopped) -> None:
        await self._arrivals.put((time.monotonic(), event))


def _verdict(closed: ConnectionClosed) -> Retry | GiveUp:
    if closed.rcvd is not None:
        return after_close(closed.rcvd.code, closed.rcvd.reason)
    ours = closed.sent.reason if closed.sent is not None else ""
    return after_close(None, ours)
