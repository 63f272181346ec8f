"""sd_notify over real datagram sockets."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from brain.ops.notify import Notifier, watchdog_interval_s


@pytest.fixture
def manager(tmp_path: Path) -> Iterator[tuple[socket.socket, str]]:
    """A service manager's end of the socket, and its address."""
    address = str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as channel:
        channel.bind(address)
        channel.settimeout(5)
        yield channel, address


def test_what_is_told_arrives_as_the_protocol_has_it(manager: tuple[socket.socket, str]) -> None:
    channel, address = manager
    notifier = Notifier.from_environment({"NOTIFY_SOCKET": address})
    told = [
        notifier.status("loading the mind: 40 %"),
        notifier.extend_timeout(12.5),
        notifier.ready("serving"),
        notifier.watchdog(),
        notifier.stopping(),
    ]
    assert told == [True] * 5
    assert [channel.recv(4096).decode() for _ in told] == [
        "STATUS=loading the mind: 40 %",
        "EXTEND_TIMEOUT_USEC=12500000",
        "READY=1\nSTATUS=serving",
        "WATCHDOG=1",
        "STOPPING=1",
    ]


def test_a_status_cannot_forge_another_message(manager: tuple[socket.socket, str]) -> None:
    channel, address = manager
    Notifier(address).status("no such file: x\nREADY=1\r\nWATCHDOG=1")
    assert channel.recv(4096).decode() == "STATUS=no such file: x READY=1 WATCHDOG=1"


def test_an_abstract_address_is_understood() -> None:
    name = f"robot-brain-test-{os.getpid()}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as channel:
        channel.bind("\0" + name)
        channel.settimeout(5)
        assert Notifier("@" + name).ready()
        assert channel.recv(100) == b"READY=1"


def test_nobody_listening_is_no_failure(tmp_path: Path) -> None:
    assert not Notifier.from_environment({}).ready()
    assert not Notifier(str(tmp_path / "gone")).ready()


def test_a_manager_that_does_not_read_does_not_hold_the_brain_up(
    manager: tuple[socket.socket, str],
) -> None:
    _, address = manager
    notifier = Notifier(address)
    # The kernel queues a few hundred datagrams a socket at most.
    assert not all(notifier.watchdog() for _ in range(2000))


@pytest.mark.parametrize(
    ("environ", "interval"),
    [
        ({}, None),
        ({"WATCHDOG_USEC": "30000000"}, 15.0),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": str(os.getpid())}, 15.0),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "1"}, None),
        ({"WATCHDOG_USEC": "0"}, None),
        ({"WATCHDOG_USEC": "soon"}, None),
        ({"WATCHDOG_USEC": "-5"}, None),
    ],
)
def test_the_watchdog_is_fed_twice_as_often_as_it_must_be(
    environ: dict[str, str], interval: float | None
) -> None:
    assert watchdog_interval_s(environ) == interval
