"""The brain announces itself, so that a robot finds it without an address (mDNS, DNS-SD).

Service `_robot-brain._tcp` (RFC 6763); its TXT record has `protocol` (of `/ws`), `path`, `version`,
`profile` and `id`, which stays the same while name and address change; and `tls=1` where a robot
has to come with wss://.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import ipaddress
import logging
import re
import socket
import uuid
from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass
from pathlib import Path

import ifaddr
from zeroconf import ServiceInfo, current_time_millis
from zeroconf.asyncio import AsyncZeroconf

from brain import __version__

log = logging.getLogger(__name__)

SERVICE_TYPE = "_robot-brain._tcp.local."
PROTOCOL = 1
# An address may come after the brain (DHCP at boot) and change later.
LOOK_S = 5.0
_GOODBYE_S = 0.8
# Of the 63 bytes of a name, some are for the "-2" of a second brain with the same one.
_NAME_BYTES = 59
# Networks of containers and virtual machines inside this machine: no robot is on them, and on the
# robot's side the same address may be its own. (`br-lan` is a real one.)
_INSIDE = re.compile(r"(docker\d|br-[0-9a-f]{12}$|veth|virbr|vmnet|cni|flannel|podman|lxcbr|lxdbr)")


@dataclass(frozen=True)
class Announcement:
    """What is announced. `host` is what the listening socket is bound to, an IP address; `name`
    is shown to people (empty: the host's name); `tls`: it is reached by wss:// alone."""

    host: str
    port: int
    profile: str
    name: str = ""
    tls: bool = False


@dataclass(frozen=True)
class Interface:
    """An address of this machine, and the interface that it is on: its name and number."""

    name: str
    address: str
    index: int | None = None


async def announce(what: Announcement, *, look_s: float = LOOK_S) -> None:
    """Announce until cancelled, then say goodbye, within a second.

    The addresses are looked at every `look_s` seconds, and announced anew when they have changed.
    What goes wrong is logged, once, and tried again: a robot can still be told the address. Returns
    at once for a brain that only its own machine can reach.
    """
    if ipaddress.ip_address(_bare(what.host)).is_loopback:
        log.debug("not announced: %s can be reached from this machine alone", what.host)
        return
    # The library tells of every try that fails, with a traceback; here it is told once, in a line.
    logging.getLogger("zeroconf").setLevel(logging.CRITICAL)
    told = ""
    while True:
        trouble = "this machine is on no network yet"
        try:
            while here := reachable(what.host, own_interfaces()):
                await _announce_at(what, here, look_s)
                told = ""
        except Exception as error:  # noqa: BLE001 - robots that know the address must be served on
            trouble = str(error) or type(error).__name__
        if trouble != told:
            log.warning("can't be announced by mDNS (UDP port 5353), trying on: %s", trouble)
            told = trouble
        await asyncio.sleep(look_s)


async def _announce_at(what: Announcement, here: tuple[Interface, ...], look_s: float) -> None:
    """As long as that is right."""
    addresses = [interface.address for interface in here]
    async with _announced(what, addresses) as (zeroconf, info):
        listed = ", ".join(addresses)
        log.info("announced as %r at %s port %d", info.get_name(), listed, what.port)
        while True:
            await asyncio.sleep(look_s)
            if reachable(what.host, own_interfaces()) != here:
                log.info("announcing anew: the addresses have changed")
                return
            if _gives_way(zeroconf, info):
                log.info("announcing anew: another brain is called %r, too", info.get_name())
                return


@contextlib.asynccontextmanager
async def _announced(
    what: Announcement, addresses: list[str]
) -> AsyncIterator[tuple[AsyncZeroconf, ServiceInfo]]:
    """Its name ends in "-2" if another brain had it already."""
    own_id = _own_id(what.port)
    info = ServiceInfo(
        SERVICE_TYPE,
        f"{instance_name(what.name)}.{SERVICE_TYPE}",
        port=what.port,
        properties={
            "protocol": str(PROTOCOL),
            "path": "/ws",
            "version": __version__,
            "profile": what.profile[:60],
            "id": own_id,
            **({"tls": "1"} if what.tls else {}),
        },
        # Two hosts of one name (two new Jetsons) must not mix their addresses.
        server=f"robot-brain-{own_id}.local.",
        parsed_addresses=addresses,
    )
    zeroconf = AsyncZeroconf(interfaces=addresses)
    try:
        said = await zeroconf.async_register_service(info, allow_name_change=True)
        await said
        yield zeroconf, info
    finally:
        try:
            await asyncio.wait_for(zeroconf.async_close(), _GOODBYE_S)
        except asyncio.TimeoutError:
            zeroconf.zeroconf.close()


def _gives_way(zeroconf: AsyncZeroconf, info: ServiceInfo) -> bool:
    """Whether another brain has the same name, and the better right to it.

    Two that are switched on together may both find it free. The lower server name keeps it.
    """
    now = current_time_millis()
    servers = [  # of the SRV records of this name
        getattr(record, "server", None)
        for record in zeroconf.zeroconf.cache.entries_with_name(info.name)
        if not record.is_expired(now)
    ]
    return any(server < (info.server or "") for server in servers if server)


def reachable(host: str, interfaces: Iterable[Interface]) -> tuple[Interface, ...]:
    """Where a socket that is bound to `host` can be reached from other machines.

    Bound to one address: there, while this machine has it. Bound to all (0.0.0.0 or ::): at those
    of all interfaces, in a lasting order, but those that lead no further than into this machine.
    """
    bound = ipaddress.ip_address(_bare(host))
    found = {}
    for interface in interfaces:
        address = ipaddress.ip_address(_bare(interface.address))
        if address.is_loopback or address in found:
            continue
        everywhere = bound.is_unspecified and not _INSIDE.match(interface.name)
        if address == bound or (everywhere and address.version == bound.version):
            found[address] = interface
    return tuple(found[address] for address in sorted(found, key=int))


def instance_name(name: str = "") -> str:
    """The name for people; one label of DNS, so that it has no dots and at most 63 bytes."""
    chosen = name or socket.gethostname().split(".")[0] or "robot-brain"
    printable = "".join(char if char.isprintable() else " " for char in chosen.replace(".", " "))
    return printable.encode()[:_NAME_BYTES].decode(errors="ignore").strip() or "robot-brain"


def own_interfaces() -> list[Interface]:
    """The addresses of this machine that are ready: a new IPv6 one isn't for its first seconds."""
    return [
        Interface(adapter.name, ip.ip[0] if isinstance(ip.ip, tuple) else ip.ip, adapter.index)
        for adapter in ifaddr.get_adapters()
        for ip in adapter.ips
        if _ready(ip.ip)
    ]


def _ready(ip: str | tuple[str, int, int]) -> bool:
    family = socket.AF_INET6 if isinstance(ip, tuple) else socket.AF_INET
    address = (ip[0], 0, *ip[1:]) if isinstance(ip, tuple) else (ip, 0)
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.bind(address)
    except OSError:
        return False
    return True


def _own_id(port: int) -> str:
    """The same at each start, another for each brain. The machine's id isn't told: machine-id(5).

    The hardware address tells machines apart that were made from one image.
    """
    try:
        machine = Path("/etc/machine-id").read_text().strip()
    except OSError:
        machine = socket.gethostname()
    seed = f"robot-brain {machine} {uuid.getnode():x} {port}"
    return hashlib.sha256(seed.encode()).hexdigest()[:12]


def _bare(address: str) -> str:
    """Without the scope of a link-local IPv6 address: who hears of it has one of their own."""
    return address.partition("%")[0]
