"""A connection to the brain that lasts: it reconnects for ever, and knows nothing of devices."""

from __future__ import annotations

import asyncio
import dataclasses
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from types import TracebackType
from typing import TYPE_CHECKING
from urllib.parse import quote

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake

from robot_client import requests
from robot_client.messages import Message
from robot_client.outbox import Outbox, Sound
from robot_client.parsing import Decoder, MessageError
from robot_client.reconnect import Backoff, GiveUp, Retry, after_close
from robot_client.requests import MAX_MESSAGE_BYTES, Session

if TYPE_CHECKING:
    from typing_extensions import Self

log = logging.getLogger(__name__)

PING_S = 5.0  # pings go out this often and must be answered as fast, so 10 s finds a dead link
OPEN_S = 5.0
CLOSE_S = 2.0
MAX_WAITING = 256  # messages not yet read by the caller; then the socket is no longer read either


@dataclass(frozen=True)
class Disconnected:
    """There is no brain at the moment; the next try comes in `retry_in_s` seconds."""

    reason: str
    retry_in_s: float


@dataclass(frozen=True)
class Stopped:
    """The connection has given up, because trying again can't help. The last event."""

    reason: str


Event = Message | Disconnected | Stopped


@dataclass(frozen=True)
class Arrival:
    """An event and when it came, in `time.monotonic()` seconds."""

    at: float
    event: Event


def brain_url(host: str, port: int, robot_id: str | None = None, *, tls: bool = False) -> str:
    """The address of a brain's `/ws`. An IPv6 address may come with or without brackets."""
    if ":" in host and not host.startswith("["):
        host = f"[{host}]"
    query = f"?robot_id={quote(robot_id, safe='')}" if robot_id else ""
    return f"{'wss' if tls else 'ws'}://{host}:{port}/ws{query}"


class Connection:
    """Speaks `/ws` for as long as it is open, over as many sockets as that takes.

    Use as an async context manager; read `events()` all the time. Each new socket is told the
    session first, then the kept sound. `binary_audio` sends microphone sound as raw PCM frames
    rather than base64. `token` goes as a bearer token. `sleep` and `backoff` are for tests.
    """

    def __init__(
        self,
        url: str,
        *,
        session: Session | None = None,
        token: str | None = None,
        binary_audio: bool = True,
        keep_s: float = 1.0,
        backoff: Backoff | None = None,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self.url = url
        self.session = session or Session()
        self.bad_messages = 0
        self._headers = {"Authorization": f"Bearer {token}"} if token else None
        self._binary = binary_audio
        self._keep_s = keep_s
        self._outbox = Outbox(self.session.input_rate, keep_s)
        self._waiting = asyncio.Event()
        self._arrivals: asyncio.Queue[Arrival] = asyncio.Queue(MAX_WAITING)
        self._backoff = backoff or Backoff()
        self._sleep = sleep
        self._task: asyncio.Task[None] | None = None
        self._connected = False
        self._closed = False

    # -- the caller's side -------------------------------------------------------------------

    async def __aenter__(self) -> Self:
        if self._closed or self._task is not None:
            raise RuntimeError("a Connection is opened once")
        self._task = asyncio.create_task(self._run(), name="robot-client connection")
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
        return self._connected and not self._closed

    @property
    def shed_samples(self) -> int:
        """Samples of microphone sound that were never sent, there being no brain to take them."""
        return self._outbox.shed_samples

    def send_audio(self, pcm: bytes) -> None:
        """Microphone sound, 16-bit little-endian mono at the session's input rate.

        Never blocks. Without a brain the last `keep_s` seconds wait for it, older sound is shed.
        Raises `ValueError` for half a sample.
        """
        if self._closed:
            return
        self._outbox.add_sound(pcm)
        self._waiting.set()

    def send(self, frame: str) -> bool:
        """A frame of `robot_client.requests`. False if there is no brain now: it isn't kept.

        Never blocks. Raises `ValueError` for a frame over the wire's limit of 1 MiB.
        """
        size = len(frame.encode())
        if size > MAX_MESSAGE_BYTES:
            raise ValueError(f"a message of {size} bytes; the brain takes {MAX_MESSAGE_BYTES}")
        if not self.connected:
            return False
        self._outbox.add_control(frame)
        self._waiting.set()
        return True

    def update(self, changes: Session) -> bool:
        """Change the session, now and for every socket to come. What is None stays.

        False if there is no brain now; the next one will hear of it.
        """
        given = {
            field.name: value
            for field in dataclasses.fields(changes)
            if (value := getattr(changes, field.name)) is not None
        }
        before = self.session.input_rate
        self.session = dataclasses.replace(self.session, **given)
        if self.session.input_rate != before:
            # What waits has the old rate; sent after the change it would be noise.
            self._outbox.change_rate(self.session.input_rate)
        return self.send(requests.session(changes))

    async def events(self) -> AsyncIterator[Arrival]:
        """Everything that happens, in order, until `Stopped` or `close()`."""
        if self._task is None:
            raise RuntimeError("open the Connection first")
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
        self._closed = True
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
        try:
            async with connect(
                self.url,
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
            return Retry(f"no brain at {self.url}: {error or type(error).__name__}")

    async def _converse(self, socket: ClientConnection) -> Retry | GiveUp:
        self._outbox.drop_control()
        try:
            await socket.send(requests.session(self.session))
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
        decoder = Decoder()
        while True:
            try:
                frame = await socket.recv()
            except ConnectionClosed as closed:
                return _verdict(closed)
            self._backoff.reset()
            try:
                message = decoder.decode(frame)
            except MessageError as bad:
                self.bad_messages += 1
                log.warning("the brain sent a message that isn't protocol 1: %s", bad)
                continue
            await self._tell(message)

    async def _write(self, socket: ClientConnection) -> Retry | GiveUp:
        while True:
            item = self._outbox.take()
            if item is None:
                self._waiting.clear()
                await self._waiting.wait()
                continue
            try:
                if not isinstance(item, Sound):
                    await socket.send(item.frame)
                elif self._binary:
                    await socket.send(item.pcm)
                else:
                    await socket.send(requests.audio(item.pcm))
            except ConnectionClosed as closed:
                if isinstance(item, Sound):
                    self._outbox.put_back(item)
                return _verdict(closed)

    async def _tell(self, event: Event) -> None:
        await self._arrivals.put(Arrival(time.monotonic(), event))


def _verdict(closed: ConnectionClosed) -> Retry | GiveUp:
    if closed.rcvd is not None:
        return after_close(closed.rcvd.code, closed.rcvd.reason)
    ours = closed.sent.reason if closed.sent is not None else ""
    return after_close(None, ours)
