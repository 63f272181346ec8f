"""A real brain: `brain serve --profile pocket` as a child process, with its real engines."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import ssl
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from brain.audio.pcm import to_int16
from brain.ops.check_ears import RATE, Speaker
from brain.ops.check_voices import speak

# Voice and variant are held out from the training of the ears.
SPEAKER = Speaker("en-us+f5", 163, 46)


@dataclass
class Brain:
    """`log` is a file with all that the process said. `authority`: of its certificate, where it
    speaks TLS."""

    process: subprocess.Popen[bytes]
    port: int
    log: Path
    authority: Path | None = None

    @property
    def address(self) -> str:
        return f"ws{'s' if self.authority else ''}://127.0.0.1:{self.port}/ws"

    @property
    def tls(self) -> ssl.SSLContext | None:
        """What trusts it."""
        return ssl.create_default_context(cafile=self.authority) if self.authority else None

    def get(self, path: str) -> tuple[int, dict[str, Any]]:
        """Status and JSON body."""
        url = f"http{'s' if self.authority else ''}://127.0.0.1:{self.port}{path}"
        try:
            with urllib.request.urlopen(url, timeout=5, context=self.tls) as answer:
                return answer.status, json.load(answer)
        except urllib.error.HTTPError as error:
            return error.code, json.load(error)

    def until_ready(self, seconds: float = 60) -> None:
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            assert self.process.poll() is None, self.log.read_text()
            with contextlib.suppress(urllib.error.URLError, OSError):
                if self.get("/ready")[0] == 200:
                    return
            time.sleep(0.1)
        raise AssertionError(f"not ready:\n{self.log.read_text()}")

    def peak_memory_mb(self) -> float:
        """The high-water mark of its resident memory."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        line = next(line for line in status.splitlines() if line.startswith("VmHWM"))
        return int(line.split()[1]) / 1024


@contextlib.contextmanager
def a_pocket_brain(
    folder: Path,
    *arguments: str,
    module: str = "brain",
    environ: Mapping[str, str] | None = None,
    authority: Path | None = None,
) -> Iterator[Brain]:
    """Started, and ready unless it fails; ended with SIGTERM. `environ` comes on top of ours.

    `authority`: of its certificate, if the arguments give it one.
    """
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
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
        process = subprocess.Popen(
            [sys.executable, "-m", module, "serve", "--profile", "pocket", "--host", "127.0.0.1",
             "--port", str(port), *arguments],
            stdin=subprocess.DEVNULL, stdout=sink, stderr=sink, cwd=folder, env=environment,
        )  # fmt: skip
    try:
        yield Brain(process, port, log, authority)
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            raise AssertionError(f"SIGTERM did not end it:\n{log.read_text()}") from None


def spoken(text: str, *, before_ms: int = 300, after_ms: int = 900) -> NDArray[np.int16]:
    """`text` by a voice that the ears were not trained on, in a quiet room. int16 at 16 kHz."""
    voice = speak(text, SPEAKER)
    room = np.random.default_rng(len(text)).standard_normal(
        len(voice) + (before_ms + after_ms) * RATE // 1000
    )
    sound = room * 1e-3
    start = before_ms * RATE // 1000
    sound[start : start + len(voice)] += 0.4 * voice / np.abs(voice).max()
    return to_int16(sound)
