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
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.e2e.faults.namespace import Namespace

PORT = 8100  # nobody else is in there
ADDRESS = "127.0.0.1"


@dataclass
class BrainInside:
    """It listens on all addresses of 127.0.0.0/8. `log` is a file with all that it said."""

    network: Namespace
    process: subprocess.Popen[bytes]
    log: Path
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

    def until_ready(self, seconds: float = 60) -> None:
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            assert self.process.poll() is None, self.log.read_text()
            with contextlib.suppress(OSError, http.client.HTTPException):
                if self.get("/ready")[0] == 200:
                    return
            time.sleep(0.1)
        raise AssertionError(f"not ready:\n{self.log.read_text()}")


@contextlib.contextmanager
def a_brain_inside(
    network: Namespace, folder: Path, *arguments: str, python: str | Path = sys.executable
) -> Iterator[BrainInside]:
    """Started, and ready; ended with SIGTERM. `python`: an interpreter that has the brain."""
    log = folder / "brain.log"
    environment = {
        name: value
        for name, value in os.environ.items()
        if name not in ("INVOCATION_ID", "NOTIFY_SOCKET")
    } | {"BRAIN_CONFIG_DIR": str(folder)}
    with log.open("wb") as sink:
        process = network.popen(
            [str(python), "-m", "brain", "serve", "--profile", "pocket", "--host", "0.0.0.0",
             "--port", str(PORT), *arguments],
            stdout=sink, stderr=sink, cwd=folder, env=environment,
        )  # fmt: skip
    try:
        running = BrainInside(network, process, log)
        running.until_ready()
        yield running
        assert process.poll() is None, f"the brain died:\n{log.read_text()}"
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            raise AssertionError(f"SIGTERM did not end it:\n{log.read_text()}") from None
