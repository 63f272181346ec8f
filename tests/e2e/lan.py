"""Machines on a network of the test's own: namespaces, on one switch."""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Iterator

from tests.e2e.faults.namespace import Namespace


class Machine(Namespace):
    """One machine of the network; its interface is `eth0`."""

    def move(self, address: str) -> None:
        """`address`, with its prefix, instead of all that it had; none for an empty one."""
        self.ip("address", "flush", "dev", "eth0")
        if address:
            # (Whether an IPv6 address is somebody else's, too, takes a second to find out.)
            nodad = ["nodad"] if ":" in address else []
            self.ip("address", "add", address, "dev", "eth0", *nodad)


class Lan:
    """A switch with nothing on it yet. `machines` are closed with their stack."""

    def __init__(self, switch: Namespace, machines: contextlib.ExitStack) -> None:
        self._switch = switch
        self._machines = machines
        self._ports = (f"port{number}" for number in itertools.count())
        switch.ip("link", "add", "name", "switch", "type", "bridge", "mcast_snooping", "0")
        switch.ip("link", "set", "switch", "up")

    def add(self, address: str = "") -> Machine:
        """One more machine; `address` with its prefix (`10.9.0.2/24`), or none yet."""
        machine = self._machines.enter_context(Machine(beside=self._switch))
        port, switch = next(self._ports), self._switch
        switch.ip("link", "add", "name", port, "type", "veth", "peer", "name", "peer")
        switch.ip("link", "set", "peer", "netns", str(machine.pid), "name", "eth0")
        switch.ip("link", "set", port, "master", "switch", "up")
        machine.ip("link", "set", "eth0", "up", "addrgenmode", "none")
        machine.move(address)
        return machine


@contextlib.contextmanager
def a_lan() -> Iterator[Lan]:
    """An empty network; all of it is gone afterwards."""
    with Namespace() as switch, contextlib.ExitStack() as machines:
        yield Lan(switch, machines)
