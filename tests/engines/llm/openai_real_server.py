"""llama-cpp-python's own server with the pocket mind, as a child process: a real peer."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from brain.engines.recipes import POCKET

MODEL = "pocket-there"


@dataclass
class LlamaServer:
    """`log` is a file with all that it said. `url` is its OPENAI_URL."""

    process: subprocess.Popen[bytes]
    url: str
    log: Path

    def until_ready(self, seconds: float = 60) -> None:
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            assert self.process.poll() is None, self.log.read_text()
            request = urllib.request.Request(f"{self.url}/models", method="HEAD")
            try:
                urllib.request.urlopen(request, timeout=2)
            except urllib.error.HTTPError as error:
                error.close()
                return
            except OSError:
                time.sleep(0.1)
            else:
                return
        raise AssertionError(f"not ready:\n{self.log.read_text()}")

    def kill(self) -> None:
        """At once, whatever it is doing."""
        self.process.send_signal(signal.SIGKILL)
        self.process.wait(10)


@contextlib.contextmanager
def a_llama_server(folder: Path, *arguments: str, port: int = 0) -> Iterator[LlamaServer]:
    """Started, and ready unless it fails. It knows its model as `MODEL`."""
    if not port:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
    log = folder / f"llama-{port}.log"
    with log.open("ab") as sink:
        process = subprocess.Popen(
            [sys.executable, "-m", "llama_cpp.server", "--model", str(POCKET / "mind.gguf"),
             "--model_alias", MODEL, "--host", "127.0.0.1", "--port", str(port),
             "--n_ctx", "4096", "--n_threads", "1", "--verbose", "false", *arguments],
            stdout=sink, stderr=sink, cwd=folder, env=os.environ | {"PYTHONUNBUFFERED": "1"},
        )  # fmt: skip
    server = LlamaServer(process, f"http://127.0.0.1:{port}/v1", log)
    try:
        server.until_ready()
        yield server
    finally:
        process.kill()
        process.wait(10)
