"""Finding the brains that announce themselves on this network (mDNS, DNS-SD: RFC 6762, 6763).

Each search is a fresh one, with sockets of its own: nothing is remembered that may be out of date,
and nothing is left behind. The library is imported by the first search.
"""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import logging
from collections.abc import AsyncIterator, Callable, Sequence
from typing import TYPE_CHECKING

from robot_client.choice import FoundBrain, Interface, best_first

if TYPE_CHECKING:
    from zeroconf import ServiceInfo, ServiceStateChange, Zeroconf

__all__ = ["SERVICE_TYPE", "FoundBrain", "answering", "find_brains", "own_interfaces"]

log = logging.getLogger(__name__)
_library_log = logging.getLogger("zeroconf")

SERVICE_TYPE = "_robot-brain._tcp.local."
SEARCH_S = 3.0  # the question goes out at once and, as packets get lost, again after a second
_RESOLVE_MS = 2000.0
_PROBE_S = 1.5
_STAGGER_S = 0.25
_MAX_SHOWN = 63  # bytes of an instance's name, RFC 6763 section 4.1.1

# For how many more seconds of silence to search, when these have been found.
Patience = Callable[[Sequence[FoundBrain]], float]


async def find_brains(
    timeout_s: float = SEARCH_S, patience: Patience | None = None
) -> list[FoundBrain]:
    """The brains that announce themselves, by name.

    It takes `timeout_s`, or less with `patience`: until for so many seconds, which may depend on
    what was found, nothing new has come. Raises `OSError`, with a sentence, if this machine can't
    search.
    """
    from zeroconf.asyncio import AsyncServiceBrowser

    ours = own_interfaces()
    async with _listening(ours) as zeroconf:
        search = _Search(ours)
        browser = AsyncServiceBrowser(zeroconf, SERVICE_TYPE, handlers=[search.changed])
        try:
            await search.settled(timeout_s, patience)
        finally:
            await browser.async_cancel()
            await search.close()
    return search.brains


class _Search:
    """What the browser has found so far. `changed` is its handler."""

    def __init__(self, ours: Sequence[Interface]) -> None:
        self._ours = ours
        self._found: dict[str, FoundBrain] = {}
        self._asking: dict[str, asyncio.Task[None]] = {}
        self._news = asyncio.Event()

    @property
    def brains(self) -> list[FoundBrain]:
        return sorted(self._found.values(), key=lambda brain: (brain.name, brain.addresses))

    def changed(
        self, zeroconf: Zeroconf, service_type: str, name: str, state_change: ServiceStateChange
    ) -> None:
        if (before := self._asking.pop(name, None)) is not None:
            before.cancel()
        if state_change.name == "Removed":
            self._found.pop(name, None)
        else:
            self._asking[name] = asyncio.ensure_future(self._ask(zeroconf, service_type, name))
        self._news.set()

    async def _ask(self, zeroconf: Zeroconf, service_type: str, name: str) -> None:
        """Mostly the answer came with the name already."""
        from zeroconf.asyncio import AsyncServiceInfo

        try:
            info = AsyncServiceInfo(service_type, name)
            if await info.async_request(zeroconf, _RESOLVE_MS):
                brain = brain_of(info, self._ours)
                if brain is not None:
                    self._found[name] = brain
        except Exception:  # anybody may announce anything, and the library raise what it will
            log.debug("an announcement can't be read: %r", name, exc_info=True)
        finally:
            if self._asking.get(name) is asyncio.current_task():
                del self._asking[name]
            self._news.set()

    async def settled(self, timeout_s: float, patience: Patience | None) -> None:
        loop = asyncio.get_running_loop()
        end = loop.time() + timeout_s
        while (wait := end - loop.time()) > 0:
            if patience is not None and not self._asking:
                wait = min(wait, patience(self.brains))
            self._news.clear()
            try:
                await asyncio.wait_for(self._news.wait(), wait)
            except asyncio.TimeoutError:
                return

    async def close(self) -> None:
        asking = list(self._asking.values())
        for task in asking:
            task.cancel()
        await asyncio.gather(*asking, return_exceptions=True)


@contextlib.asynccontextmanager
async def _listening(ours: Sequence[Interface]) -> AsyncIterator[Zeroconf]:
    """Sockets on every interface that leads out of this machine."""
    from zeroconf.asyncio import AsyncZeroconf

    outward = [
        str(interface.address)
        for interface in ours
        if not (interface.inside or interface.address.is_loopback)
    ]
    if not outward:
        raise OSError("this machine is on no network")
    if _library_log.level == logging.NOTSET:
        # It tells of each try that fails, with a traceback; here the search says what is wrong.
        _library_log.setLevel(logging.CRITICAL)
    try:
        zeroconf = AsyncZeroconf(interfaces=outward)
    except (OSError, RuntimeError) as error:
        # RuntimeError: an address that was gone again before it was looked up.
        why = getattr(error, "strerror", None) or error
        raise OSError(f"no use of mDNS (UDP port 5353): {why}") from error
    try:
        yield zeroconf.zeroconf
    finally:
        await zeroconf.async_close()


def brain_of(info: ServiceInfo, ours: Sequence[Interface]) -> FoundBrain | None:
    """What an announcement says; None for one that can't be connected to.

    Anybody on the network can announce anything, so it is cut to what can be shown.
    """
    addresses = best_first(info.parsed_scoped_addresses(), ours)
    if not addresses or not info.port:
        return None
    said = {key: _shown(value or "") for key, value in info.decoded_properties.items()}
    protocol = said.get("protocol", "")
    return FoundBrain(
        name=_shown(info.get_name()),
        addresses=addresses,
        port=info.port,
        profile=said.get("profile", ""),
        version=said.get("version", ""),
        protocol=int(protocol) if protocol.isascii() and protocol.isdigit() else None,
        id=said.get("id", ""),
        tls=said.get("tls") == "1",
    )


def _shown(text: str) -> str:
    return "".join(char if char.isprintable() else "?" for char in text[:_MAX_SHOWN])


def own_interfaces() -> list[Interface]:
    """The addresses of this machine."""
    import ifaddr

    return [
        Interface(
            adapter.name,
            ipaddress.ip_address(ip.ip[0] if isinstance(ip.ip, tuple) else ip.ip),
            ip.network_prefix,
        )
        for adapter in ifaddr.get_adapters()
        for ip in adapter.ips
    ]


async def answering(addresses: Sequence[str], port: int) -> str:
    """The first of a brain's addresses, best first, that takes a connection.

    Each next one is tried a little later than the one before. If none does, the first: the
    connection that follows will say what is wrong. Raises `ValueError` for no addresses.
    """
    if not addresses:
        raise ValueError("no addresses")
    if len(addresses) == 1:
        return addresses[0]
    tries = [
        asyncio.ensure_future(takes(address, port, index * _STAGGER_S))
        for index, address in enumerate(addresses)
    ]
    try:
        for done in asyncio.as_completed(tries, timeout=_PROBE_S):
            if (address := await done) is not None:
                return address
    except asyncio.TimeoutError:
        pass
    finally:
        for task in tries:
            task.cancel()
        await asyncio.gather(*tries, return_exceptions=True)
    return addresses[0]


async def takes(address: str, port: int, after_s: float = 0.0) -> str | None:
    """The address if it takes a connection, tried after so many seconds; None if it doesn't."""
    await asyncio.sleep(after_s)
    try:
        _, writer = await asyncio.open_connection(address, port)
    except OSError:
        return None
    writer.close()
    with contextlib.suppress(OSError):
        await writer.wait_closed()
    return address
