"""A brain of its own as a child process, for benchmarks that measure the whole product."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping

from pydantic import SecretStr

from brain.settings import Settings
from brain.settings.model import SPECS

_START_S = 300


@contextlib.contextmanager
def child_brain(
    settings: Settings, overrides: Mapping[str, str] | None = None
) -> Iterator[tuple[str, int]]:
    """A brain with these settings on a free loopback port, ready: its host and port.

    `overrides`: settings, by name, that it has otherwise. It asks for no token. Raises
    `RuntimeError` with the end of its log if it doesn't start.
    """
    host = "127.0.0.1"
    with socket.socket() as probe:
        probe.bind((host, 0))
        port: int = probe.getsockname()[1]
    command = [sys.executable, "-m", "brain", "serve", "--profile", settings.brain_profile,
               "--host", host, "--port", str(port)]  # fmt: skip
    environment = {
        **os.environ,
        **_typed(settings),
        "BRAIN_TOKEN": "",
        "BRAIN_TOKEN_FILE": "",
        "CREDENTIALS_DIRECTORY": "",
        "TLS_CERT": "",
        "TLS_KEY": "",
        "REQUESTS_PER_S": "0",
        "HISTORY_STORE": "off",
        **(overrides or {}),
    }
    with tempfile.TemporaryFile() as log:
        child = subprocess.Popen(command, stdout=log, stderr=log, env=environment)  # noqa: S603 - ourselves
        try:
            deadline = time.monotonic() + _START_S
            while not _is_ready(f"http://{host}:{port}/ready"):
                if child.poll() is not None or time.monotonic() > deadline:
                    log.seek(0)
                    tail = log.read().decode(errors="replace")[-2_000:]
                    raise RuntimeError(f"the brain did not start:\n{tail}")
                time.sleep(0.2)
            yield host, port
        finally:
            child.terminate()
            child.wait()


def _typed(settings: Settings) -> dict[str, str]:
    """What was set on the command line (which the child doesn't see), as environment."""
    typed = {}
    for name, origin in settings.origins.items():
        value = getattr(settings, SPECS[name].attribute)
        if origin.startswith("--"):
            plain = value.get_secret_value() if isinstance(value, SecretStr) else value
            typed[name] = str(int(plain) if isinstance(plain, bool) else plain)
    return typed


def _is_ready(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=2) as answer:  # noqa: S310 - our own, loopback
            return bool(answer.status == 200)
    except (urllib.error.URLError, OSError):
        return False
