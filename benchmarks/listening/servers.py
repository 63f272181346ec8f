"""The servers that this benchmark measures beside `brain serve`, each in a process of its own.

`python -m benchmarks.listening.servers brain`: the real `/ws` and the real Silero; ears, mind and
mouth are scripted, and cost nothing. `… bare`: the floor, a WebSocket on the same uvicorn that
parses and decodes the same frames and does nothing with them.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
from base64 import b64decode
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import uvicorn

from brain.dialogue.config import HouseRules
from brain.engines.vad.silero import SileroDetector
from tests.e2e.sockets import a_brain
from tests.scripted_engines import ScriptedMind, ScriptedMouth, ScriptedTranscriber


def house(tentative_ms: int) -> HouseRules:
    """Of the scripted brain: its robots cancel their echo, so that the ear is never deaf."""
    return HouseRules(echo="none", tentative_ms=tentative_ms)


@dataclass(frozen=True)
class Server:
    """One that runs. `address`: of its WebSocket."""

    pid: int
    address: str

    def cpu_s(self) -> float:
        """Seconds of CPU that it has had, of all its threads, in user and system mode."""
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def resident_mb(self) -> float:
        status = Path(f"/proc/{self.pid}/status").read_text()
        line = next(line for line in status.splitlines() if line.startswith("VmRSS"))
        return int(line.split()[1]) / 1024


@contextlib.contextmanager
def a_server(*arguments: str) -> Iterator[Server]:
    """This module with these arguments."""
    command = [sys.executable, "-m", "benchmarks.listening.servers", *arguments]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield Server(process.pid, process.stdout.readline().strip())
        finally:
            process.terminate()


async def _scripted(tentative_ms: int, letter_s: float) -> None:
    brain = a_brain(
        detector=SileroDetector(),
        ears=ScriptedTranscriber(["hello robot"], seconds=0.0),
        mind=ScriptedMind(["Hello there."], first_seconds=0.0, token_seconds=0.0),
        mouth=ScriptedMouth(delay=0.0, seconds_per_char=letter_s),
        house=house(tentative_ms),
    )
    async with brain as address:
        print(address, flush=True)
        await _told_to_end()


async def _bare() -> None:
    async def app(_scope: dict[str, Any], receive: Any, send: Any) -> None:
        await receive()
        await send({"type": "websocket.accept"})
        while (message := await receive())["type"] == "websocket.receive":
            text = message.get("text")
            pcm = message["bytes"] if text is None else b64decode(json.loads(text)["data"])
            np.frombuffer(pcm, "<i2")

    config = uvicorn.Config(app, loop="asyncio", log_config=None, lifespan="off")
    with socket.create_server(("127.0.0.1", 0)) as listener:
        serving = asyncio.ensure_future(uvicorn.Server(config).serve(sockets=[listener]))
        print(f"ws://127.0.0.1:{listener.getsockname()[1]}/ws", flush=True)
        await serving


async def _told_to_end() -> None:
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    await stop.wait()


def main() -> None:
    """Serve until SIGTERM; prints the address first."""
    p = argparse.ArgumentParser(description=__doc__)
    p.add_argument("what", choices=("brain", "bare"))
    p.add_argument("--tentative", type=int, default=0, help="TENTATIVE_SILENCE_MS")
    p.add_argument("--letter", type=float, default=0.0, help="seconds of sound a letter")
    args = p.parse_args()
    asyncio.run(_bare() if args.what == "bare" else _scripted(args.tentative, args.letter))


if __name__ == "__main__":
    main()
