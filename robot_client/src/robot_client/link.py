"""A socket to the brain that lasts: it reconnects for ever, and knows neither wire nor devices."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

from websockets.asyncio.client import ClientConnection
from websockets.exceptions import ConnectionClosed

from robot_client.dial import CLOSE_S, dial, hang_up, until_silent
from robot_client.outbox import Outbox, Sound
from robot_client.parsing import MessageError
from robot_client.reconnect import Backoff, GiveUp, Retry, after_close
from robot_client.requests import MAX_MESSAGE_BYTES

log = logging.getLogger(__name__)

LOCATE_S = 15.0  # how long it may take to find out where the brain is
# Sound given this much longer ago than it is kept for is no longer what is being said: then the
# microphone was off meanwhile. (A chunk may be a second long, and is given when it is whole.)
STALE_S = 1.0
MAX_WAITING = 256  # messages not yet read by the caller; then the socket is no longer read either

M = TypeVar("M")


@dataclass(frozen=True)
class Disconnected:
    """There is no brain at the moment; the next try comes in `retry_in_s` seconds."""

    reason: str
    retry_in_s: float


@dataclass(frozen=True)
class Stopped:
    """The connection has given up, because trying again can't help. The last event.

    `code`: 4001 a newer session has this robot's id, 4400 the request can't be served, 4401 the
    token is refused; None: the address is none.
    """

    reason: str
    code: int | None = None


@dataclass(frozen=True)
class Wire(Generic[M]):
    """One protocol: what a `Link` must know of it.

    `url` and `hello` are asked anew for each socket; `hello` (None: nothing) is sent first. `url`
    raises OSError where there is no brain to be found at the moment. `decoder` makes what turns the
    frames of one socket into messages, and raises `MessageError`. `sound` makes a frame of PCM.
    `keeps_sound`: sound that found no brain is for the next one, as long as it is fresh.
    """

    url: Callable[[], Awaitable[str]]
    hello: Callable[[], str | None]
    decoder: Callable[[], Callable[[str | bytes], M]]
    sound: Callable[[bytes], str | bytes]
    keeps_sound: bool


class Link(Generic[M]):
    """Speaks one protocol for as long as it is open, over as many sockets as that takes.

    `open()` it, read `events()` all the time, `close()` it. Events come with their time, in
    `time.monotonic()` seconds. `sleep`, `clock` (seconds) and `backoff` are for tests.

    What outlives a socket, and what doesn't. Sound that wasn't sent is kept (`Wire.keeps_sound`),
    because what the user says now is meant for whichever brain comes next; to that brain it is the
    beginning of a turn, since a half-spoken one has ended with its session, and what that session
    had heard of it isn't sent again: it may have been answered already. Text frames aren't kept.
    Each speaks of something that ended with its session, a reply's mark, a turn's end, the result
    of a call whose id the next brain may give to another call; its sender is told (`send` says
    False, and `sockets` has changed) and knows better what still holds.
    """

    def __init__(
        self,
        wire: Wire[M],
        outbox: Outbox,
        *,
        token: str | None = None,
        backoff: Backoff | None = None,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.outbox = outbox
        self.bad_messages = 0
        self.sockets = 0  # how many have been opened so far; that of `connected` is the last
        self.closed = False
        self._wire = wire
        self._headers = {"Authorization": f"Bearer {token}"} if token else None
        self._waiting = asyncio.Event()
        self._arrivals: asyncio.Queue[tuple[float, M | Disconnected | Stopped]] = asyncio.Queue(
            MAX_WAITING
        )
        self._backoff = backoff or Backoff()
        self._sleep = sleep
        self._clock = clock
        self._answered_at: float | None = None  # the first word on this socket
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
        self.outbox.add_sound(pcm, self._clock())
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
        first, self.closed = not self.closed, True
        if self._task is not None:
            if first:  # a second cancel would break into the closing of the socket
                self._task.cancel()
            await asyncio.wait({self._task})

    # -- the brain's side --------------------------------------------------------------------

    async def _run(self) -> None:
        while True:
            verdict = await self._one_socket()
            if isinstance(verdict, GiveUp):
                await self._tell(Stopped(verdict.reason, verdict.code))
                return
            delay = self._backoff.next_delay(verdict.after_s)
            await self._tell(Disconnected(verdict.reason, delay))
            await self._sleep(delay)

    async def _one_socket(self) -> Retry | GiveUp:
        try:
            url = await self._where()
        except OSError as error:
            return Retry(str(error) or f"the brain can't be found: {type(error).__name__}")
        socket = await dial(url, self._headers)
        if isinstance(socket, (Retry, GiveUp)):
            return socket
        self._answered_at = None
        try:
            return await self._converse(socket)
        finally:
            if self._answered_at is not None:
                self._backoff.lasted(self._clock() - self._answered_at)
            await hang_up(socket)

    async def _where(self) -> str:
        asking = asyncio.ensure_future(self._wire.url())
        try:
            await asyncio.wait({asking}, timeout=LOCATE_S)
            if not asking.done():
                raise OSError(f"the brain wasn't found within {LOCATE_S:g} s")
            return asking.result()
        finally:
            asking.cancel()
            await asyncio.wait({asking})

    async def _converse(self, socket: ClientConnection) -> Retry | GiveUp:
        self.outbox.drop_control()
        if self._wire.keeps_sound:
            self.outbox.drop_sound_before(self._clock() - self.outbox.keep_s - STALE_S)
        else:
            self.outbox.drop_sound()
        self.sockets += 1
        self._connected = True
        reader = asyncio.create_task(self._read(socket), name="robot-client reader")
        writer = asyncio.create_task(self._write(socket), name="robot-client writer")
        pings = asyncio.create_task(until_silent(socket), name="robot-client pings")
        tasks = {reader, writer, pings}
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            # What the brain said before it closed is still to be read.
            await asyncio.wait({reader}, timeout=CLOSE_S)
        finally:
            self._connected = False
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)
        if not pings.cancelled() and pings.result():
            return Retry("the brain doesn't answer any more")
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
            if self._answered_at is None:
                self._answered_at = self._clock()
            try:
                message = decode(frame)
            except MessageError as bad:
                self.bad_messages += 1
                log.warning("the brain sent a message that can't be read: %.200s", bad)
                continue
            await self._tell(message)

    async def _write(self, socket: ClientConnection) -> Retry | GiveUp:
        if (hello := self._wire.hello()) is not None:
            try:
                await socket.send(hello)
            except ConnectionClosed as closed:
                return _verdict(closed)
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
