"""sd_notify: telling systemd how the brain is, over the datagram socket that it names.

The protocol: `NOTIFY_SOCKET` is a path, or an abstract name with `@` in front; each datagram holds
lines `NAME=VALUE` (sd_notify(3)). Without the variable everything here does nothing.
"""

from __future__ import annotations

import logging
import os
import socket
from collections.abc import Mapping
from dataclasses import dataclass

log = logging.getLogger(__name__)

# The manager's queue may be full for a moment; the caller may be an event loop.
_SEND_TIMEOUT_S = 0.2


@dataclass(frozen=True)
class Notifier:
    """The way to the service manager. `address` as in NOTIFY_SOCKET; empty: nobody listens.

    Every method returns whether the message went out, and never raises for its not going out: a
    brain that can't reach its manager still serves its robots.
    """

    address: str = ""

    @classmethod
    def from_environment(cls, environ: Mapping[str, str] | None = None) -> Notifier:
        """The one that `NOTIFY_SOCKET` in `environ` (the process's by default) names."""
        return cls((os.environ if environ is None else environ).get("NOTIFY_SOCKET", ""))

    def ready(self, status: str = "") -> bool:
        """The start is over. `status` as in `status()`."""
        return self._send("READY=1", *_status_line(status))

    def stopping(self, status: str = "") -> bool:
        """The end has begun."""
        return self._send("STOPPING=1", *_status_line(status))

    def status(self, text: str) -> bool:
        """One line for people, shown by `systemctl status`."""
        return self._send(f"STATUS={_one_line(text)}")

    def extend_timeout(self, seconds: float) -> bool:
        """The start (or the end) needs at least `seconds` more, counted from now."""
        return self._send(f"EXTEND_TIMEOUT_USEC={max(1, round(seconds * 1_000_000))}")

    def watchdog(self) -> bool:
        """Feed the watchdog: everything that ought to make progress has."""
        return self._send("WATCHDOG=1")

    def _send(self, *lines: str) -> bool:
        if not self.address:
            return False
        address = "\0" + self.address[1:] if self.address.startswith("@") else self.address
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as channel:
                channel.settimeout(_SEND_TIMEOUT_S)
                channel.sendto("\n".join(lines).encode(), address)
        except OSError as error:
            log.debug("the service manager wasn't told %s: %s", lines[0], error)
            return False
        return True


def watchdog_interval_s(environ: Mapping[str, str] | None = None) -> float | None:
    """How often to feed the watchdog, in seconds: half of what the manager allows.

    None: nobody watches this process (no or a broken WATCHDOG_USEC, or it is another's).
    """
    environ = os.environ if environ is None else environ
    pid = environ.get("WATCHDOG_PID", "")
    if pid and pid != str(os.getpid()):
        return None
    usec = environ.get("WATCHDOG_USEC", "")
    if not (usec.isascii() and usec.isdigit() and int(usec)):
        return None
    return int(usec) / 2_000_000


def _status_line(status: str) -> tuple[str, ...]:
    return (f"STATUS={_one_line(status)}",) if status else ()


def _one_line(text: str) -> str:
    """A line break would begin another message."""
    return " ".join(text.split())
