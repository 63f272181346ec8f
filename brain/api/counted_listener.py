"""A listening socket that lets each address have so many connections, and no more.

It counts where connections are accepted: before TLS, whose handshake costs a third of a megabyte
that whoever opens the connection doesn't pay, and before HTTP.
"""

from __future__ import annotations

import asyncio.sslproto
import logging
import socket
import time
from collections import Counter
from collections.abc import Callable
from functools import partial
from typing import Any

log = logging.getLogger(__name__)

_TELL_EVERY_S = 60.0
# asyncio (3.11 and later) sets so many bytes aside for each TLS connection, 256 KiB otherwise; a
# record has at most 16 KiB.
_TLS_BUFFER_BYTES = 32 << 10


class CountedListener(socket.socket):
    """Takes the place of `plain`, which is listening already and is left empty.

    What is over `per_address` is closed at once.
    """

    def __init__(self, plain: socket.socket, *, per_address: int) -> None:
        super().__init__(fileno=plain.detach())
        self._per_address = per_address
        self._open: Counter[str] = Counter()
        self._told_at = -_TELL_EVERY_S
        if hasattr(asyncio.sslproto.SSLProtocol, "max_size"):
            asyncio.sslproto.SSLProtocol.max_size = _TLS_BUFFER_BYTES

    def accept(self) -> tuple[socket.socket, Any]:
        """As that of any socket. Raises `BlockingIOError` when nobody waits who may come in."""
        while True:
            connection, peer = super().accept()
            address = str(peer[0])
            if self._open[address] < self._per_address:
                self._open[address] += 1
                return _Counted(connection, partial(self._leave, address)), peer
            connection.close()
            self._tell(address)

    def _leave(self, address: str) -> None:
        self._open[address] -= 1
        if not self._open[address]:
            del self._open[address]

    def _tell(self, address: str) -> None:
        if time.monotonic() - self._told_at >= _TELL_EVERY_S:
            self._told_at = time.monotonic()
            log.warning("%s has %d connections; more are closed", address, self._per_address)


class _Counted(socket.socket):
    """A connection that says when it is closed, in whatever way."""

    def __init__(self, plain: socket.socket, closed: Callable[[], None]) -> None:
        super().__init__(fileno=plain.detach())
        self._closed_told: Callable[[], None] | None = closed

    def close(self) -> None:
        super().close()
        self._tell_closed()

    def __del__(self) -> None:
        self._tell_closed()

    def _tell_closed(self) -> None:
        told, self._closed_told = getattr(self, "_closed_told", None), None
        if told is not None:
            told()
