"""A network of one's own, whose loopback can lose packets: nftables in a network namespace.

It needs Linux, `unshare` and `nsenter` (util-linux), `ip` (iproute2), and a Python that has
pyroute2; as root, or as anybody where user namespaces are allowed. Nothing of it touches this
machine's network, and nothing of it is left when it is closed, or when its maker dies. This module
needs the standard library alone.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from typing_extensions import Self

_INSIDE = Path(__file__).with_name("inside.py")
_NEW_USER = () if os.geteuid() == 0 else ("--user", "--map-root-user")
_SAME_USER = () if os.geteuid() == 0 else ("--user", "--preserve-credentials")


class Namespace:
    """Use as a context manager. `python`: an interpreter that has pyroute2.

    `beside`: another one, whose user this one's is, so that the two can be wired to each other.
    All of 127.0.0.0/8 is on its loopback, so a rule can be for one of several addresses.
    """

    def __init__(
        self, python: str | Path = sys.executable, *, beside: Namespace | None = None
    ) -> None:
        self.pid = 0  # of the process that keeps it
        self._python = str(python)
        self._beside = beside
        self._lock = threading.Lock()

    def __enter__(self) -> Self:
        self._control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        make = ["unshare", "--net"]
        make = self._beside.command(*make) if self._beside else [*make, *_NEW_USER]
        with theirs:
            self._process = subprocess.Popen(
                [*make, self._python, str(_INSIDE), str(theirs.fileno())],
                pass_fds=[theirs.fileno()], stdin=subprocess.DEVNULL,
            )  # fmt: skip
        self.pid = self._process.pid
        self._ask("are you there")
        # An Ethernet's packets: a loopback's own of 64 KiB would be few, and their buffers huge.
        self.ip("link", "set", "lo", "mtu", "1500", "up")
        return self

    def __exit__(self, *_: object) -> None:
        self._control.close()  # it ends at that
        self._process.wait(10)

    def lose(self, one_in: int, address: str | None = None) -> None:
        """From now on drop, by chance, one in so many packets (1: all) to or from an address.

        None: all addresses that have no rule of their own.
        """
        self._ask("lose", one_in=one_in, address=address)

    def dropped(self, address: str | None = None) -> int:
        """How many packets the rule for this address has dropped so far."""
        return int(self._ask("dropped", address=address)["packets"])

    def socket(self, family: socket.AddressFamily = socket.AF_INET) -> socket.socket:
        """A TCP socket that lives in there, wherever it is used."""
        with self._lock:
            self._control.send(json.dumps({"do": "socket", "family": int(family)}).encode())
            _answer, descriptors, _flags, _address = socket.recv_fds(self._control, 1_024, 1)
        return socket.socket(fileno=descriptors[0])

    def command(self, *words: str) -> list[str]:
        """What runs `words` in there."""
        return ["nsenter", "--target", str(self.pid), *_SAME_USER, "--net", "--", *words]

    def popen(self, command: Sequence[str], **options: Any) -> subprocess.Popen[bytes]:
        """Start a process in there; as `subprocess.Popen`, of which `options` are."""
        return subprocess.Popen(self.command(*command), **options)

    def ip(self, *words: str) -> None:
        """`ip` in there. Raises `CalledProcessError`."""
        subprocess.run(self.command("ip", *words), check=True, timeout=10)

    @contextlib.contextmanager
    def dialled_from(self) -> Iterator[None]:
        """Meanwhile the running loop connects from in there, whoever asks it to (asyncio's own)."""
        loop = asyncio.get_running_loop()
        outside = loop.create_connection

        async def inside(
            factory: Any, host: Any = None, port: Any = None, *, sock: Any = None, **options: Any
        ) -> Any:
            if sock is None:
                sock = self.socket()
                sock.setblocking(False)
                options.pop("happy_eyeballs_delay", None)
                try:
                    await loop.sock_connect(sock, (host, port))
                except BaseException:
                    sock.close()
                    raise
            return await outside(factory, sock=sock, **options)

        loop.create_connection = inside  # type: ignore[method-assign]
        try:
            yield
        finally:
            del loop.create_connection

    def _ask(self, what: str, **arguments: Any) -> dict[str, Any]:
        with self._lock:
            self._control.send(json.dumps({"do": what, **arguments}).encode())
            answer = self._control.recv(65_536)
        if not answer:
            raise RuntimeError("the namespace could not be made: its stderr says why")
        result: dict[str, Any] = json.loads(answer)
        return result
