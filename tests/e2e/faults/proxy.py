"""A TCP proxy whose network can be made slow, stuck or broken while it runs.

It needs the standard library alone, so that a robot's own environment can use it too.
"""

from __future__ import annotations

import asyncio
import socket
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing_extensions import Self

_CHUNK = 4_096
_IN_FLIGHT = 16  # chunks on their way in each direction: a network has little room for more
_KERNEL_BYTES = 32_768


class Proxy:
    """Listens on 127.0.0.1 at `port`, and forwards to `host`:`to_port`, each way `delay_s` late.

    Use as an async context manager. `stall()` holds everything back without closing anything, until
    `flow()`. `cut()` breaks all connections with a reset and every new one too, until `mend()`.
    `connections` counts those that were let through.
    """

    def __init__(self, to_port: int, host: str = "127.0.0.1", *, delay_s: float = 0.1) -> None:
        self.delay_s = delay_s
        self.port = 0
        self.connections = 0
        self._to = (host, to_port)
        self._flowing = asyncio.Event()
        self._flowing.set()
        self._whole = True
        self._serving: set[asyncio.Task[None]] = set()
        self._writers: set[asyncio.StreamWriter] = set()
        self._server: asyncio.Server | None = None

    async def __aenter__(self) -> Self:
        listener = socket.create_server(("127.0.0.1", self.port))
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _KERNEL_BYTES)
        self.port = listener.getsockname()[1]
        self._server = await asyncio.start_server(self._accepted, sock=listener, limit=_CHUNK)
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server is not None
        self._server.close()
        self.cut()
        if self._serving:
            await asyncio.wait(self._serving)

    def stall(self) -> None:
        """From now on nothing gets through, and nobody is told."""
        self._flowing.clear()

    def flow(self) -> None:
        """What was held back goes on."""
        self._flowing.set()

    def cut(self) -> None:
        """Break what there is, and whatever comes."""
        self._whole = False
        for writer in self._writers:
            _reset(writer)
        for task in self._serving:
            task.cancel()

    def mend(self) -> None:
        """Let new connections through again."""
        self._whole = True

    async def _accepted(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if not self._whole:
            _reset(writer)
            return
        self.connections += 1
        task = asyncio.current_task()
        assert task is not None
        self._serving.add(task)
        both = [writer]
        try:
            far_reader, far_writer = await asyncio.open_connection(*self._to, limit=_CHUNK)
            both.append(far_writer)
            self._writers.update(both)
            directions = [
                asyncio.ensure_future(self._carry(reader, far_writer)),
                asyncio.ensure_future(self._carry(far_reader, writer)),
            ]
            try:
                await asyncio.gather(*directions)
            finally:
                for direction in directions:
                    direction.cancel()
                await asyncio.wait(directions)
        except (OSError, asyncio.CancelledError):
            pass  # broken by one of the ends, or by `cut`
        finally:
            self._writers.difference_update(both)
            self._serving.discard(task)
            for end in both:
                _reset(end)

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One direction, until its end has been told."""
        line: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue(_IN_FLIGHT)
        loop = asyncio.get_running_loop()

        async def take() -> None:
            data = b"more"
            while data:
                data = await reader.read(_CHUNK)
                await line.put((loop.time() + self.delay_s, data))

        taking = asyncio.ensure_future(take())
        giving = asyncio.ensure_future(self._give(line, writer))
        try:
            await asyncio.gather(taking, giving)
        finally:
            taking.cancel()
            giving.cancel()
            await asyncio.wait({taking, giving})

    async def _give(
        self, line: asyncio.Queue[tuple[float, bytes]], writer: asyncio.StreamWriter
    ) -> None:
        loop = asyncio.get_running_loop()
        while True:
            due, data = await line.get()
            await asyncio.sleep(max(0.0, due - loop.time()))
            await self._flowing.wait()
            if not data:
                writer.write_eof()
                return
            writer.write(data)
            await writer.drain()


def _reset(writer: asyncio.StreamWriter) -> None:
    transport = writer.transport
    if not transport.is_closing():
        transport.abort()
