"""As a brain announces itself, without it: `python -m tests.e2e.lan_brain NAME PORT HOST TLS`.

The announcement is the real one; nothing listens on its port.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from brain.ops.announce import Announcement, announce
from tests.e2e.faults.brain_inside import Inside, ended_afterwards
from tests.e2e.lan import Machine

ROOT = Path(__file__).parents[2]


@contextlib.contextmanager
def a_lan_brain(
    folder: Path,
    machine: Machine,
    name: str,
    port: int = 8100,
    host: str = "0.0.0.0",
    *,
    tls: bool = False,
) -> Iterator[Inside]:
    log = folder / f"{name}-{time.monotonic_ns()}.log"
    words = [sys.executable, "-m", "tests.e2e.lan_brain", name, str(port), host, str(int(tls))]
    with log.open("wb") as sink:
        process = machine.popen(words, stderr=sink, cwd=ROOT)
    with ended_afterwards(Inside(machine, process, log)) as announcer:
        yield announcer


async def _main(name: str, port: str, host: str, tls: str) -> None:
    logging.basicConfig(level=logging.DEBUG, format="%(levelname)s %(name)s %(message)s")
    announcing = asyncio.ensure_future(
        announce(Announcement(host, int(port), "pocket", name, tls=tls == "1"), look_s=0.3)
    )
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, announcing.cancel)
    await asyncio.wait({announcing})


if __name__ == "__main__":
    asyncio.run(_main(*sys.argv[1:]))
