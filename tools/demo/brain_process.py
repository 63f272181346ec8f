"""A brain as a child process: started, waited for, and ended as systemd would."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

LOG_TAIL = 25
STUCK_S = 5.0  # nothing on its way and something missing for so long won't mend itself


class BrainError(RuntimeError):
    """The brain didn't do its part; the message says what, and its log is worth reading."""


@dataclass(frozen=True)
class Ended:
    """How the brain ended. peak_memory_mb: its resident high-water mark, where it can be known."""

    exit_code: int
    seconds: float
    peak_memory_mb: float | None


@dataclass
class BrainProcess:
    """`brain serve` on a free port of the loopback interface; its output goes to `log`."""

    process: asyncio.subprocess.Process
    port: int
    log: Path

    @staticmethod
    async def start(log: Path, *arguments: str) -> BrainProcess:
        """Start it; it isn't ready yet."""
        port = _free_port()
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("wb") as file:
            process = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "brain", "serve", "--host", "127.0.0.1", "--port", str(port),
                *arguments, stdin=asyncio.subprocess.DEVNULL, stdout=file, stderr=file,
                # On loopback it needs no token, and its conversation is nobody's afterwards.
                env={
                    **os.environ,
                    "BRAIN_TOKEN": "", "BRAIN_TOKEN_FILE": "", "TLS_CERT": "", "TLS_KEY": "",
                    "HISTORY_STORE": "off",
                },
            )  # fmt: skip
        return BrainProcess(process, port, log)

    async def until_ready(self, limit_s: float, progress: Callable[[str], None]) -> float:
        """Wait for `/ready` to say 200; the seconds it took. Raises `BrainError`.

        `progress` is told, now and then, what is still on its way.
        """
        begun = moved = time.monotonic()
        while True:
            if self.process.returncode is not None:
                raise BrainError(f"the brain ended by itself with status {self.process.returncode}")
            status, body = await asyncio.to_thread(_ask, f"http://127.0.0.1:{self.port}/ready")
            took = time.monotonic() - begun
            if status == 200:
                return took
            if not _is_stuck(body):
                moved = time.monotonic()
            elif time.monotonic() - moved > STUCK_S:
                raise BrainError(f"the brain can't get ready: {_missing(body)}")
            if took > limit_s:
                raise BrainError(f"the brain wasn't ready within {limit_s:g} s ({_state(body)})")
            progress(f"{_state(body)}, {took:.0f} s")
            await asyncio.sleep(0.1)

    async def end(self, limit_s: float = 10.0) -> Ended:
        """Ask it to end with SIGTERM and wait for it. Raises `BrainError` if it won't."""
        begun = time.monotonic()
        memory = _peak_memory_mb(self.process.pid)
        if self.process.returncode is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            code = await asyncio.wait_for(self.process.wait(), limit_s)
        except asyncio.TimeoutError:
            self.process.kill()
            await self.process.wait()
            raise BrainError(
                f"the brain didn't end within {limit_s:g} s of SIGTERM and was killed"
            ) from None
        return Ended(code, time.monotonic() - begun, memory)

    def kill(self) -> None:
        """End it without ceremony, if it still runs."""
        if self.process.returncode is None:
            self.process.kill()

    def log_tail(self) -> str:
        """The last lines that it wrote."""
        lines = self.log.read_text("utf-8", "replace").splitlines()
        return "\n".join(lines[-LOG_TAIL:]) or "(it wrote nothing)"


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _ask(url: str) -> tuple[int | None, Mapping[str, Any]]:
    """(HTTP status or None, the JSON object or nothing)."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(url, timeout=5) as response:
            return response.status, _object(response.read())
    except urllib.error.HTTPError as error:
        return error.code, _object(error.read())
    except OSError:
        return None, {}


def _object(data: bytes) -> Mapping[str, Any]:
    try:
        value = json.loads(data)
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}


def _state(body: Mapping[str, Any]) -> str:
    loading = body.get("loading")
    if isinstance(loading, list) and loading:
        return "loading " + ", ".join(str(kind) for kind in loading)
    return "starting"


def _is_stuck(body: Mapping[str, Any]) -> bool:
    return bool(body.get("missing")) and not body.get("loading")


def _missing(body: Mapping[str, Any]) -> str:
    """Why each missing engine is missing, in the brain's words."""
    engines = body.get("engines", {})
    reasons = [engines.get(kind, {}).get("reason") or "no reason given" for kind in body["missing"]]
    return "; ".join(
        f"{kind}: {reason}" for kind, reason in zip(body["missing"], reasons, strict=True)
    )


def _peak_memory_mb(pid: int) -> float | None:
    try:
        status = Path(f"/proc/{pid}/status").read_text("ascii")
    except OSError:
        return None  # ended already, or not Linux
    for line in status.splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) / 1024
    return None
