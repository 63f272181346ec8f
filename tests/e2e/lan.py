"""A network of the test's own: machines that are namespaces, on one switch. Linux's alone.

Nothing of it touches the network of the machine that the tests run on. It needs `ip` (iproute2),
`unshare` and `nsenter` (util-linux), and root, or a kernel that lets anybody make namespaces.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

_NEW_USER = () if os.geteuid() == 0 else ("--user", "--map-root-user")
_SAME_USER = () if os.geteuid() == 0 else ("--user", "--preserve-credentials")
# Says that the namespace is there, and keeps it until the test has gone, however that ends.
_HOLD = ("sh", "-c", "echo; exec cat")


@dataclass(frozen=True)
class Machine:
    """One machine of the network; its interface is `eth0`."""

    holder: subprocess.Popen[bytes]

    def command(self, *words: str) -> list[str]:
        """What runs `words` there."""
        where = ["nsenter", "--target", str(self.holder.pid), *_SAME_USER, "--net", "--"]
        return [*where, *words]

    def ip(self, *words: str) -> None:
        """`ip` there. Raises `CalledProcessError`."""
        subprocess.run(self.command("ip", *words), check=True, timeout=10)

    def move(self, address: str) -> None:
        """`address`, with its prefix, instead of all that it had; none for an empty one."""
        self.ip("address", "flush", "dev", "eth0")
        if address:
            # (Whether an IPv6 address is somebody else's, too, takes a second to find out.)
            nodad = ["nodad"] if ":" in address else []
            self.ip("address", "add", address, "dev", "eth0", *nodad)


@dataclass
class Lan:
    """The switch, and the machines on it."""

    switch: Machine
    machines: list[Machine] = field(default_factory=list)

    def add(self, address: str = "") -> Machine:
        """One more machine; `address` with its prefix (`10.9.0.2/24`), or none yet."""
        machine = Machine(_held(self.switch.command("unshare", "--net")))
        port = f"port{len(self.machines)}"
        self.machines.append(machine)
        self.switch.ip("link", "add", "name", port, "type", "veth", "peer", "name", "peer")
        self.switch.ip("link", "set", "peer", "netns", str(machine.holder.pid), "name", "eth0")
        self.switch.ip("link", "set", port, "master", "switch", "up")
        machine.ip("link", "set", "lo", "up")
        machine.ip("link", "set", "eth0", "up", "addrgenmode", "none")
        machine.move(address)
        return machine


def _held(command: Sequence[str]) -> subprocess.Popen[bytes]:
    """A process in a namespace that `command` makes; it is there when this returns."""
    process = subprocess.Popen([*command, *_HOLD], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert process.stdout is not None
    if process.stdout.readline() != b"\n":
        process.wait(10)
        raise OSError(f"no namespace can be made here: {command} ended with {process.returncode}")
    return process


@contextlib.contextmanager
def a_lan() -> Iterator[Lan]:
    """An empty network; all of it is gone afterwards."""
    lan = Lan(Machine(_held(["unshare", *_NEW_USER, "--net"])))
    try:
        lan.switch.ip("link", "add", "name", "switch", "type", "bridge", "mcast_snooping", "0")
        lan.switch.ip("link", "set", "switch", "up")
        yield lan
    finally:
        for machine in (*lan.machines, lan.switch):
            machine.holder.communicate(timeout=10)
