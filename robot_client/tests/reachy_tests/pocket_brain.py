"""A real brain on the pocket profile, as a process of the environment beside this one."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from robot_client.wav import read_wav

ROOT = Path(__file__).parents[3]
PYTHON = ROOT / ".venv" / "bin" / "python"  # .venv-reachy has no brain, as a robot has none

SPEAK = """
import sys, numpy as np
from pathlib import Path
from robot_client.wav import write_wav
from tests.e2e.pocket import spoken
for place, text in zip(sys.argv[1::2], sys.argv[2::2]):
    write_wav(Path(place), 16_000, spoken(text, before_ms=100, after_ms=100))
"""


class PocketBrain:
    """Can be killed, and started again at the same port."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.log = folder / "brain.log"
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = int(probe.getsockname()[1])
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it; `until_ready` waits for its engines."""
        unit = ("INVOCATION_ID", "NOTIFY_SOCKET")
        environment = {name: value for name, value in os.environ.items() if name not in unit}
        with self.log.open("ab") as sink:
            self._process = subprocess.Popen(
                [PYTHON, "-m", "brain", "serve", "--profile", "pocket",
                 "--host", "127.0.0.1", "--port", str(self.port)],
                stdout=sink, stderr=sink, cwd=self.folder,
                env=environment
                | {"BRAIN_CONFIG_DIR": str(self.folder), "STATE_DIR": str(self.folder / "state")},
            )  # fmt: skip

    def until_ready(self, seconds: float = 60) -> None:
        """Wait for its engines."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            assert self._process is not None
            assert self._process.poll() is None, self.log.read_text()
            with suppress(urllib.error.URLError, OSError):
                url = f"http://127.0.0.1:{self.port}/ready"
                with urllib.request.urlopen(url, timeout=5) as answer:
                    if answer.status == 200:
                        return
            time.sleep(0.1)
        raise AssertionError(f"not ready:\n{self.log.read_text()}")

    def kill(self) -> None:
        """At once, without a word to anybody."""
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(signal.SIGKILL)
            self._process.wait()


@contextmanager
def a_pocket_brain(folder: Path) -> Iterator[PocketBrain]:
    """Started, its engines perhaps still loading."""
    brain = PocketBrain(folder)
    brain.start()
    try:
        yield brain
    finally:
        brain.kill()


def spoken(folder: Path, texts: Iterable[str]) -> dict[str, NDArray[np.float32]]:
    """Each sentence as float32 mono at 16 kHz, by a voice that the ears were not trained on."""
    places = {text: folder / f"{number}.wav" for number, text in enumerate(texts)}
    words = [str(word) for text, place in places.items() for word in (place, text)]
    subprocess.run([PYTHON, "-c", SPEAK, *words], cwd=ROOT, check=True)
    return {text: _read(place) for text, place in places.items()}


def _read(place: Path) -> NDArray[np.float32]:
    sound, rate = read_wav(place)
    assert rate == 16_000
    return (sound.astype(np.float32) / 32768).reshape(-1)
