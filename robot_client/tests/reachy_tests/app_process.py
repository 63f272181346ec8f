"""The stand-in app as a process, started by a command as on the robot."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

STAND_IN = Path(__file__).parent / "stand_in"
LAUNCHER = Path(sys.executable).parent / "reachy-mini-local"


@dataclass
class AppProcess:
    """`log` is a file with all that the process said, on both streams."""

    process: subprocess.Popen[bytes]
    log: Path

    def said(self) -> str:
        return self.log.read_text(encoding="utf-8")

    def until(self, words: str, seconds: float = 40) -> None:
        """Wait until it has said this."""
        deadline = time.monotonic() + seconds
        while words not in self.said():
            assert self.process.poll() is None, f"it ended without {words!r}:\n{self.said()}"
            assert time.monotonic() < deadline, f"no {words!r}:\n{self.said()}"
            time.sleep(0.05)

    def stop(self, by: signal.Signals = signal.SIGINT) -> int:
        """Ctrl-C, if nothing else is said. The exit status."""
        self.process.send_signal(by)
        return self.process.wait(20)

    async def until_async(self, words: str) -> None:
        await asyncio.to_thread(self.until, words)

    async def stop_async(self, by: signal.Signals = signal.SIGINT) -> int:
        return await asyncio.to_thread(self.stop, by)


def _at_a_terminal() -> None:
    """Tests that were themselves started in the background ignore Ctrl-C, and pass that on."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


@contextmanager
def app(
    folder: Path, *command: str | Path, path: Path | None = STAND_IN, **environment: str
) -> Iterator[AppProcess]:
    """Run the command in `folder` with the app from `path`; killed if it is still there after."""
    log = folder / "app.log"
    variables = {**os.environ, **environment, "PYTHONUNBUFFERED": "1", "COLUMNS": "100"}
    variables.pop("PYTHONPATH", None)
    if path is not None:
        variables["PYTHONPATH"] = str(path)
    with log.open("wb") as sink:
        process = subprocess.Popen(
            [str(word) for word in command],
            stdout=sink,
            stderr=sink,
            cwd=folder,
            env=variables,
            preexec_fn=_at_a_terminal,
        )
    try:
        yield AppProcess(process, log)
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()


def ended(running: AppProcess) -> tuple[int, str]:
    """The exit status and all that it said, of a process that ends by itself."""
    status = running.process.wait(40)
    return status, running.said()
