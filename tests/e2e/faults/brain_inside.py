"""A real pocket brain in a `namespace`. This module needs the standard library alone."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from tests.e2e.faults.namespace import Namespace

PORT = 8100  # nobody else is in there
ADDRESS = "127.0.0.1"

T = TypeVar("T", bound="Inside")


@dataclass
class Inside:
    """A process of ours in there, ended with SIGTERM. `log` is a file with all that it said."""

    network: Namespace
    process: subprocess.Popen[bytes]
    log: Path

    def until_said(self, words: str, seconds: float = 60) -> None:
        end = time.monotonic() + seconds
        while words not in self.log.read_text():
            assert self.process.poll() is None, self.log.read_text()
            assert time.monotonic() < end, f"no {words!r}:\n{self.log.read_text()}"
            time.sleep(0.05)

    def stop(self) -> float:
        """How long it took to end, in seconds."""
        since = time.monotonic()
        self.process.send_signal(signal.SIGTERM)
        try:
            assert self.process.wait(20) == 0, self.log.read_text()
        except subprocess.TimeoutExpired:
            self.process.kill()
            raise AssertionError(f"SIGTERM did not end it:\n{self.log.read_text()}") from None
        return time.monotonic() - since


@dataclass
class BrainInside(Inside):
    """A brain that listens on all addresses, those of 127.0.0.0/8 too."""

    port: int = PORT

    def get(self, path: str) -> tuple[int, dict[str, Any]]:
        """Status and JSON body, from 127.0.0.1."""
        with self.network.socket() as sock:
            sock.settimeout(5)
            sock.connect((ADDRESS, self.port))
            client = http.client.HTTPConnection(ADDRESS, self.port)
            client.sock = sock
            client.request("GET", path)
            answer = client.getresponse()
            return answer.status, json.load(answer)

    def until_ready(self) -> None:
        self.until_said("ready: profile pocket")


@contextlib.contextmanager
def a_brain_inside(
    network: Namespace,
    folder: Path,
    *arguments: str,
    host: str = "0.0.0.0",
    python: str | Path = sys.executable,
    module: str = "brain",
    environ: Mapping[str, str] | None = None,
) -> Iterator[BrainInside]:
    """Started, its engines perhaps still loading. `python`: an interpreter that has the brain.

    `environ` comes on top of ours.
    """
    log = folder / "brain.log"
    environment = {
        name: value
        for name, value in os.environ.items()
        if name not in ("INVOCATION_ID", "NOTIFY_SOCKET")
    } | {
        "BRAIN_CONFIG_DIR": str(folder),
        "STATE_DIR": str(folder / "state"),
        **(environ or {}),
    }
    with log.open("wb") as sink:
        process = network.popen(
            [str(python), "-m", module, "serve", "--profile", "pocket", "--host", host,
             "--port", str(PORT), *arguments],
            stdout=sink, stderr=sink, cwd=folder, env=environment,
        )  # fmt: skip
    with ended_afterwards(BrainInside(network, process, log)) as running:
        yield running


@contextlib.contextmanager
def ended_afterwards(running: T) -> Iterator[T]:
    """It may end before, by the test's own `stop` and not by itself."""
    try:
        yield running
    finally:
        if running.process.returncode is None:
            running.stop()
