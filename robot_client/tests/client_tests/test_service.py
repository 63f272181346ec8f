"""The systemd unit for robots that boot by themselves: what it says, and what its command does."""

from __future__ import annotations

import asyncio
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections import defaultdict
from pathlib import Path

from client_tests.command import environment

UNIT = Path(__file__).parents[3] / "deploy" / "systemd" / "robot-client.service"


def settings() -> dict[str, dict[str, list[str]]]:
    """Sections, names and values; a name may have several (systemd.syntax(7))."""
    found: dict[str, dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
    section = ""
    for line in UNIT.read_text("utf-8").splitlines():
        if line.startswith("[") and line.endswith("]"):
            section = line[1:-1]
        elif line and not line.startswith("#"):
            name, equals, value = line.partition("=")
            assert equals, line
            assert name.isidentifier(), line
            found[section][name].append(value)
    return found


def command() -> list[str]:
    (line,) = settings()["Service"]["ExecStart"]
    return line.split()


def test_it_never_gives_up_and_never_hammers() -> None:
    unit, service = settings()["Unit"], settings()["Service"]
    assert unit["StartLimitIntervalSec"] == ["0"]
    assert service["Restart"] == ["always"]
    assert service["RestartPreventExitStatus"] == ["78"]
    assert float(service["RestartSec"][0]) >= 1
    assert float(service["TimeoutStopSec"][0]) <= 5
    assert not any("network-online" in value for values in unit.values() for value in values)


def test_it_has_little_but_sound() -> None:
    service = settings()["Service"]
    assert service["SupplementaryGroups"] == ["audio"]
    assert service["DeviceAllow"] == ["char-alsa rw"]
    assert service["CapabilityBoundingSet"] == [""]
    assert "PrivateDevices" not in service  # it would hide the sound card
    assert "PrivateNetwork" not in service


def test_systemd_understands_it(tmp_path: Path) -> None:
    program = command()[0]
    assert program.startswith("/")
    known = {"Unit", "Service", "Install"}
    assert set(settings()) == known
    if shutil.which("systemd-analyze"):  # what isn't there can't be asked
        there = tmp_path / UNIT.name
        there.write_text(UNIT.read_text("utf-8").replace(program, sys.executable), "utf-8")
        done = subprocess.run(
            ["systemd-analyze", "verify", "--man=no", there], capture_output=True, text=True
        )
        about_it = [line for line in done.stderr.splitlines() if UNIT.name in line]
        assert (done.returncode, about_it) == (0, []), done.stderr


def test_its_command_waits_for_a_brain_and_ends_with_sigterm_in_time() -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    names = {"LOCAL_SERVER_IP": "127.0.0.1", "LOCAL_SERVER_PORT": str(port), "ROBOT_ID": "r"}
    arguments = [word for word in command()[1:] if word != "$ROBOT_CLIENT_OPTIONS"]

    async def main() -> None:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "robot_client.cli", *arguments, env=environment(**names),
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL,
        )  # fmt: skip
        assert process.stdout is not None
        line = await asyncio.wait_for(process.stdout.readline(), 30)
        assert line.startswith(b"lost    no brain at")
        assert process.returncode is None
        since = time.monotonic()
        process.send_signal(signal.SIGTERM)
        assert await process.wait() == 0
        assert time.monotonic() - since < 5

    asyncio.run(main())
