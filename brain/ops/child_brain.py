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
from pathlib import Path

from pydantic import SecretStr

import brain
from brain.settings import Settings
from brain.settings.model import SPECS

_START_S = 300
_UNPROXIED = urllib.request.build_opener(urllib.request.ProxyHandler({}))


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
    command = [*brain_command(), "serve", "--profile", settings.brain_profile,
               "--host", host, "--port", str(port)]  # fmt: skip
    with tempfile.TemporaryFile() as log, tempfile.TemporaryDirectory() as state:
        environment = environment_of(settings, state, overrides or {})
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


def brain_command() -> list[str]:
    """This very brain as a command. (With `-m`, Python would first look for modules in the working
    directory: in that of a stick, say, and as root.)"""
    own = str(Path(brain.__file__).resolve().parent.parent)
    code = f"import sys; sys.path = [{own!r}, *filter(None, sys.path)]; from brain.cli import main"
    return [sys.executable, "-c", f"{code}; sys.exit(main())"]


def environment_of(
    settings: Settings, state: str, overrides: Mapping[str, str]
) -> Mapping[str, str]:
    """For a child that nobody but this process talks to. `state` is a folder of its own: what the
    service keeps in its own is neither the child's nor, if root runs it, root's."""
    return {
        **os.environ,
        **_typed(settings),
        "STATE_DIR": state,
        "BRAIN_TOKEN": "",
        "BRAIN_TOKEN_FILE": "",
        "CREDENTIALS_DIRECTORY": "",
        "TLS_CERT": "",
        "TLS_KEY": "",
        "REQUESTS_PER_S": "0",
        "HISTORY_STORE": "off",
        **overrides,
    }


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
        with _UNPROXIED.open(url, timeout=2) as answer:
            return bool(answer.status == 200)
    except (urllib.error.URLError, OSError):
        return False
