"""As a brain announces itself, without the brain: `python -m tests.e2e.lan_brain NAME [HOST]`.

The announcement is the real one; nothing listens on its port.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from brain.ops.announce import Announcement, announce
from tests.e2e.lan import Machine

ROOT = Path(__file__).parents[2]


@dataclass
class LanBrain:
    """The announcer, as the test sees it. `log`: all that it said."""

    process: subprocess.Popen[bytes]
    log: Path

    def until_said(self, words: str, seconds: float = 20) -> None:
        end = time.monotonic() + seconds
        while words not in self.log.read_text():
            assert time.monotonic() < end, self.log.read_text()
            assert self.process.poll() is None, self.log.read_text()
            time.sleep(0.05)

    def stop(self) -> float:
        """How long it took to end, in seconds."""
        since = time.monotonic()
        self.process.send_signal(signal.SIGTERM)
        assert self.process.wait(20) == 0, self.log.read_text()
        return time.monotonic() - since


@contextlib.contextmanager
def a_lan_brain(
    folder: Path, machine: Machine, name: str, port: int = 8100, host: str = "0.0.0.0"
) -> Iterator[LanBrain]:
    log = folder / f"{name}-{time.monotonic_ns()}.log"
    words = [sys.executable, "-m", "tests.e2e.lan_brain", name, str(port), host]
    with log.open("wb") as sink:
        process = subprocess.Popen(machine.command(*words), stderr=sink, cwd=ROOT)
    brain = LanBrain(process, log)
    try:
        yield brain
    finally:
        if process.poll() is None:
            brain.stop()


async def _main(name: str, port: str, host: str) -> None:
    logging.basicConfig(level=logging.DEBUG, format="%(levelname)s %(name)s %(message)s")
    announcing = asyncio.ensure_future(
        announce(Announcement(host, int(port), "pocket", name), look_s=0.3)
    )
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, announcing.cancel)
    await asyncio.wait({announcing})


if __name__ == "__main__":
    asyncio.run(_main(*sys.argv[1:]))
