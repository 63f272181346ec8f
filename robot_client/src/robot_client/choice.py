"""Which of the brains that were found, and which of its addresses. Pure.

The rule among brains: of those that speak our protocol (and have the port that was asked for), the
one that was taken the last time, known again by its id or, failing that, its name; else the first
by name (then by id, then by address). So every robot on a network takes the same one, a robot stays
with its brain while that is there, and finds it again when its address has changed.

The rule among the addresses of a brain: see `best_first`.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

PROTOCOL = 1
MAX_NAMED = 8  # brains in one sentence

IPAddress = ipaddress.IPv4Address | ipaddress.IPv6Address
# Networks of containers and virtual machines inside one machine. (`br-lan` is a real one.)
_INSIDE = re.compile(r"(docker\d|br-[0-9a-f]{12}$|veth|virbr|vmnet|cni|flannel|podman|lxcbr|lxdbr)")


@dataclass(frozen=True)
class FoundBrain:
    """A brain that announces itself. What it says of itself is checked, but not to be trusted.

    `name` is for people; `addresses` are the ones this machine can use, best first, link-local IPv6
    ones with their scope; `id` stays the same while name and addresses change ("": it has none);
    `protocol` None: it doesn't say.
    """

    name: str
    addresses: tuple[str, ...]
    port: int
    profile: str = ""
    version: str = ""
    protocol: int | None = None
    id: str = ""
    tls: bool = False

    @property
    def host(self) -> str:
        """The best of the addresses."""
        return self.addresses[0]

    def __str__(self) -> str:
        """`'kitchen' (192.168.1.20:8100, profile orin-nx)`."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        profile = f", profile {self.profile}" if self.profile else ""
        return f"'{self.name}' ({host}:{self.port}{profile})"

    def same_as(self, other: FoundBrain) -> bool:
        """By id if both have one, else by name."""
        return self.id == other.id if self.id and other.id else self.name == other.name


@dataclass(frozen=True)
class Interface:
    """An address of this machine: the interface that it is on, and the length of its prefix."""

    name: str
    address: IPAddress
    prefix: int

    @property
    def inside(self) -> bool:
        """Whether its network ends in this machine: Docker's, a virtual machine's."""
        return _INSIDE.match(self.name) is not None

    def reaches(self, address: IPAddress) -> bool:
        """Whether the address is on this interface's own network."""
        network = ipaddress.ip_network((self.address.packed, self.prefix), strict=False)
        return not self.inside and address.version == network.version and address in network


def suitable(brain: FoundBrain, port: int | None = None) -> bool:
    """Whether it may be taken at all: our protocol, and the port asked for, if one was."""
    return brain.protocol == PROTOCOL and port in (None, brain.port)


def choose(
    brains: Iterable[FoundBrain], last: FoundBrain | None = None, port: int | None = None
) -> FoundBrain | None:
    """By the rule above. `last`: the one taken before. None: there is none that may be taken."""
    fit = sorted((brain for brain in brains if suitable(brain, port)), key=_order)
    if last is not None:
        # Ids ought to differ, but machines have been copied: the name decides between equal ones.
        fit.sort(key=lambda it: (not it.same_as(last), it.name != last.name, it.id != last.id))
    return fit[0] if fit else None


def _order(brain: FoundBrain) -> tuple[str, str, str, str]:
    return brain.name.casefold(), brain.name, brain.id, repr(brain)


def told(brains: Sequence[FoundBrain], taken: FoundBrain, last: FoundBrain | None) -> str:
    """What was found and taken, as a sentence for a person."""
    if len(brains) == 1:
        return f"found the brain {taken}"
    named = [
        str(brain) if brain.protocol == PROTOCOL else f"{brain}, which speaks another protocol"
        for brain in sorted(brains, key=_order)
    ]
    if last is not None and taken.same_as(last):
        verdict = f"staying with '{taken.name}'"
    else:
        verdict = f"taking '{taken.name}'"
    return f"found {len(brains)} brains: {_listed(named)}; {verdict}"


def none_told(brains: Sequence[FoundBrain], port: int | None, instead: str) -> str:
    """Why none may be taken, as a sentence for a person that ends with what to do `instead`."""
    if not brains:
        return (
            "no brain announces itself on this network: start it, bring the robot to the same"
            " network (guest networks and some routers keep mDNS, UDP port 5353, from passing),"
            f" {instead}"
        )
    seen = _listed([str(brain) for brain in sorted(brains, key=_order)])
    if any(brain.protocol == PROTOCOL for brain in brains):
        return f"found {seen}, but none at port {port}: leave the port out, {instead}"
    return f"found {seen}, but not with protocol {PROTOCOL}: update the older side, {instead}"


def _listed(names: Sequence[str]) -> str:
    if len(names) > MAX_NAMED:
        return f"{', '.join(names[:MAX_NAMED])} and {len(names) - MAX_NAMED} more"
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)


def best_first(addresses: Iterable[str], ours: Sequence[Interface]) -> tuple[str, ...]:
    """A brain's addresses that this machine, which has `ours`, can use; the likeliest first.

    On a network of ours before behind a router, IPv4 before IPv6, link-local ones late. What is one
    of our own addresses, too, while others of the brain's are not, comes last: it is that of a
    bridge (Docker's, a Jetson's USB port) that is called the same on both machines, and would lead
    to ourselves. Loopback, multicast, link-local IPv6 without a scope, and what is no address at
    all are left out.
    """
    usable = {text: address for text in addresses if (address := _usable(text)) is not None}
    own = {interface.address for interface in ours}
    apart = any(_bare(address) not in own for address in usable.values())

    def rank(text: str) -> tuple[bool, bool, bool, int, IPAddress | int]:
        address = usable[text]
        bare = _bare(address)
        near = any(interface.reaches(bare) for interface in ours)
        return apart and bare in own, address.is_link_local, not near, address.version, int(bare)

    return tuple(sorted(usable, key=rank))


def _usable(text: str) -> IPAddress | None:
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return None
    if address.is_loopback or address.is_multicast or address.is_unspecified:
        return None
    scoped = isinstance(address, ipaddress.IPv4Address) or address.scope_id is not None
    return address if scoped or not address.is_link_local else None


def _bare(address: IPAddress) -> IPAddress:
    """Without its scope: the same address seen on two interfaces is one."""
    return ipaddress.ip_address(address.packed)
