"""The servers as child processes: started, waited for, and ended whatever happens."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from brain.ops.child_brain import environment_of
from brain.settings import load

ROOT = Path(__file__).parents[2]
_START_S = 180.0
_STOP_S = 10.0
_UNPROXIED = urllib.request.build_opener(urllib.request.ProxyHandler({}))


class NotStarted(RuntimeError):
    """A server didn't come up; the message has the end of its log."""


@dataclass(frozen=True)
class Server:
    """How to start one. `kind`: "ours", "mind" (the model server), or a peer, whose environment is
    `.venv-<kind>`.
    `arguments`: of `benchmarks.peers.<module>`, after its port. `settings`: ours', by name."""

    kind: str
    module: str
    arguments: Sequence[str] = ()
    settings: Mapping[str, str] = field(default_factory=dict)

    @property
    def python(self) -> Path:
        return (
            Path(sys.executable)
            if self.kind in ("ours", "mind")
            else ROOT / f".venv-{self.kind}/bin/python"
        )


@contextlib.contextmanager
def running(server: Server) -> Iterator[int]:
    """Started and ready on a free loopback port: the port. Raises `NotStarted`."""
    port = _free_port()
    command = [str(server.python), "-m", f"benchmarks.peers.{server.module}", "--port", str(port)]
    with tempfile.TemporaryFile() as log, tempfile.TemporaryDirectory() as state:
        child = subprocess.Popen(
            [*command, *server.arguments],
            cwd=ROOT,
            env=_environment(server, state),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
        )
        try:
            _wait(child, lambda: _is_up(server.kind, port))
            yield port
        except TimeoutError:
            log.seek(0)
            tail = log.read().decode(errors="replace")[-3000:]
            raise NotStarted(f"{server.module} did not start:\n{tail}") from None
        finally:
            child.terminate()
            try:
                child.wait(_STOP_S)
            except subprocess.TimeoutExpired:
                child.kill()
                child.wait()


def _environment(server: Server, state: str) -> Mapping[str, str]:
    if server.kind == "ours":
        return environment_of(load(), state, {"SESSION_IDLE_S": "3600", **server.settings})
    return {**os.environ, "HF_HUB_OFFLINE": "1", **server.settings}


def _wait(child: subprocess.Popen[bytes], is_up: Callable[[], bool]) -> None:
    deadline = time.monotonic() + _START_S
    while not is_up():
        if child.poll() is not None or time.monotonic() > deadline:
            raise TimeoutError
        time.sleep(0.2)


def _is_up(kind: str, port: int) -> bool:
    """Ours says so itself; the peers are up when they can be connected to."""
    if kind == "ours":
        try:
            with _UNPROXIED.open(f"http://127.0.0.1:{port}/ready", timeout=2) as answer:
                report = json.load(answer)
        except (urllib.error.URLError, OSError):
            return False
        if report["degraded"] and not report["loading"]:
            # Another engine would be measured than the one that is asked for.
            raise NotStarted(f"ours is degraded: {report['engines']}")
        return bool(report["ready"] and not report["loading"])
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
