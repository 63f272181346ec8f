"""Where the brain is: as a person says it, and as it is found anew for each socket."""

from __future__ import annotations

import dataclasses
import ipaddress
import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from urllib.parse import quote, urlsplit

from robot_client.choice import FoundBrain, choose, none_told, suitable, told
from robot_client.discovery import answering, find_brains
from robot_client.fleet import Fleet, Place

DEFAULT_PORT = 8100
AUTO = "auto"
# What switches something on in the environment, in lower case.
TRUE = frozenset({"1", "true", "yes", "on"})
# A brain is taken when no other has been heard of for so long.
QUIET_S = 0.5
_INSTEAD = "or give its address instead of auto (--local-server-ip 192.168.1.20)"

_SCHEMES = {"ws": False, "wss": True, "http": False, "https": True}
_NAME = re.compile(r"(?=.{1,253}$)[\w-]{1,63}(\.[\w-]{1,63})*\.?")
_SCOPE = re.compile(r"[A-Za-z0-9._~-]+")
_PORT = re.compile(r"[0-9]{1,5}")


class NoBrainFound(OSError):
    """No brain can be told at the moment; the message is a sentence for a person."""


@dataclass(frozen=True)
class BrainAddress:
    """Where the brain is. `brain_address` makes one of what a person gave, and checks it.

    `host`: a name, an IPv4 or IPv6 address (of a link-local one with its scope, `fe80::1%eth0`),
    or "auto": the brain that announces itself on this network. `port` None: `DEFAULT_PORT`, or with
    "auto" the announced one. `tls`: `wss://`. `token`: sent as a bearer token. `others`: more
    brains that share their robots' conversations; which is this robot's is in `robot_client.fleet`.
    """

    host: str = "127.0.0.1"
    port: int | None = None
    tls: bool = False
    robot_id: str | None = None
    token: str | None = field(default=None, repr=False)
    others: tuple[BrainAddress, ...] = ()


def brain_address(
    host: str,
    port: int | None = None,
    *,
    tls: bool = False,
    robot_id: str | None = None,
    token: str | None = None,
) -> BrainAddress:
    """The address that a person means.

    `host` may have its port with it (`192.168.1.20:8000`, `[::1]:8000`), or be a URL: `ws://`,
    `wss://`, `http://` or `https://`, with no path but `/ws`. Where a URL names no port, it is
    `DEFAULT_PORT` all the same. Several may be given, with commas between. Raises `ValueError`,
    with a sentence that names what is wrong.
    """
    given = host.strip()
    if "," in given:
        first, *others = (
            brain_address(part, port, tls=tls, robot_id=robot_id, token=token)
            for part in given.split(",")
        )
        if AUTO in (first.host, *(other.host for other in others)):
            raise ValueError(f"{given}: auto goes alone; of several brains give each one's address")
        return dataclasses.replace(first, others=tuple(others))
    if "://" in given:
        place, secure = _place(given)
        if tls and not secure:
            raise ValueError(f"{given} is without TLS, which was asked for: begin it with wss://")
        tls = tls or secure
    else:
        place = given
    name, own_port = _split(place, given)
    if own_port is not None and port is not None and own_port != port:
        raise ValueError(f"{given} has port {own_port}, and port {port} was given beside it")
    port = own_port if port is None else port
    if port is not None and not 1 <= port <= 65535:
        raise ValueError(f"{port} is no port: a port is a number from 1 to 65535")
    if token and not (token.isascii() and token.isprintable() and " " not in token):
        raise ValueError("the token has a character that can't be sent: spaces, breaks, accents")
    if robot_id and not _in_utf8(robot_id):
        raise ValueError(f"the robot's id {robot_id!r} has bytes that are no text (UTF-8)")
    return BrainAddress(_checked(name, given), port, tls, robot_id or None, token or None)


def brain_url(host: str, port: int, robot_id: str | None = None, *, tls: bool = False) -> str:
    """The URL of a brain's `/ws`. An IPv6 address may come with or without brackets.

    The scope of a link-local address stays as it is (`[fe80::1%eth0]`, not RFC 6874's `%25eth0`):
    it is given to the resolver as it stands in the URL.
    """
    if ":" in host and not host.startswith("["):
        host = f"[{host}]"
    query = f"?robot_id={quote(robot_id, safe='')}" if robot_id else ""
    return f"{'wss' if tls else 'ws'}://{host}:{port}/ws{query}"


class Locator:
    """The URL of the brain's `/ws`, asked anew for each socket.

    So a brain is found again whose address has changed: a name is resolved by each connect, and
    "auto" is searched for each time. `on_choice` is told, in one sentence for a person, which brain
    "auto" means, when that isn't the same as the last time. The rule is in `robot_client.choice`.
    """

    def __init__(
        self, address: BrainAddress, on_choice: Callable[[str], None] | None = None
    ) -> None:
        self.address = address
        self._on_choice = on_choice
        self._last: FoundBrain | None = None
        several = (address, *address.others) if address.others else ()
        self._fleet = Fleet([_place_in(one) for one in several], address.robot_id)
        self._last_url: str | None = None

    async def __call__(self) -> str:
        """Raises `NoBrainFound` if "auto" finds none; a search takes a few seconds at most."""
        where = self.address
        if where.others:
            return await self._of_several()
        if where.host != AUTO:
            return brain_url(where.host, where.port or DEFAULT_PORT, where.robot_id, tls=where.tls)
        brain = await self._search()
        return brain_url(brain.host, brain.port, where.robot_id, tls=where.tls or brain.tls)

    async def _of_several(self) -> str:
        place = await self._fleet()
        if self._on_choice is not None and self._last_url not in (None, place.url):
            self._on_choice(f"goes over to the brain at {place.host} port {place.port}")
        self._last_url = place.url
        return place.url

    async def _search(self) -> FoundBrain:
        last, port = self._last, self.address.port
        try:
            brains = await find_brains(patience=self._patience)
        except OSError as error:
            raise NoBrainFound(f"can't search for a brain: {error}; {_INSTEAD}") from error
        taken = choose(brains, last, port)
        if taken is None:
            raise NoBrainFound(none_told(brains, port, _INSTEAD))
        host = await answering(taken.addresses, taken.port)
        rest = tuple(address for address in taken.addresses if address != host)
        taken = dataclasses.replace(taken, addresses=(host, *rest))
        self._last = taken
        if self._on_choice is not None and _place_of(taken) != _place_of(last):
            self._on_choice(told(brains, taken, last))
        return taken

    def _patience(self, found: Sequence[FoundBrain]) -> float:
        fit = [brain for brain in found if suitable(brain, self.address.port)]
        last = self._last
        if last is not None and any(
            (brain.id, brain.name) == (last.id, last.name) for brain in fit
        ):
            return 0
        return QUIET_S if fit else math.inf


def _place_of(brain: FoundBrain | None) -> tuple[str, str, int] | None:
    """What a person takes for one and the same choice."""
    return None if brain is None else (brain.name, brain.host, brain.port)


def _place_in(address: BrainAddress) -> Place:
    port = address.port or DEFAULT_PORT
    url = brain_url(address.host, port, address.robot_id, tls=address.tls)
    return Place(address.host, port, url)


# -- reading what a person wrote -------------------------------------------------------------------


def _place(url: str) -> tuple[str, bool]:
    """Host and port of a URL as they stand there, and whether it is one with TLS."""
    try:
        parts = urlsplit(url)
    except ValueError as error:
        raise ValueError(f"{url} is no address: {error}") from None
    if parts.scheme not in _SCHEMES:
        raise ValueError(f"{url} begins with {parts.scheme}://; it must be ws:// or wss://")
    if "@" in parts.netloc:
        raise ValueError("an address with a user's name in it; a token is given on its own")
    if parts.path not in ("", "/", "/ws", "/ws/"):
        raise ValueError(f"{url} has the path {parts.path}; a brain's is /ws, and may be left out")
    if parts.query or parts.fragment:
        raise ValueError(f"{url} has more than an address after its path; give that on its own")
    return parts.netloc, _SCHEMES[parts.scheme]


def _split(place: str, given: str) -> tuple[str, int | None]:
    """Host and port; the host without brackets."""
    if place.startswith("["):
        host, bracket, rest = place[1:].partition("]")
        if not bracket or (rest and not rest.startswith(":")):
            raise ValueError(f"{given} has a bracket too many or too few")
        if ":" not in host:
            raise ValueError(f"{given} has brackets around what is no IPv6 address")
        port = rest[1:] if rest else None
    elif place.count(":") == 1:
        host, _, port = place.partition(":")
    else:
        host, port = place, None
    if port is None:
        return host, None
    if not _PORT.fullmatch(port):
        raise ValueError(f"{given} has {port!r} for a port: a port is a number from 1 to 65535")
    return host, int(port)


def _checked(host: str, given: str) -> str:
    if host.lower() == AUTO:
        return AUTO
    if not host:
        raise ValueError(
            "the brain's address is empty: give a name, an IP address or auto"
            if not given
            else f"{given} names no host"
        )
    if ":" in host:
        address, percent, scope = host.partition("%")
        try:
            ipaddress.IPv6Address(address)
        except ValueError:
            raise ValueError(f"{given} is no IPv6 address, and no host with a port") from None
        if percent and not _SCOPE.fullmatch(scope):
            raise ValueError(f"{given} has no interface's name after its %")
    elif re.fullmatch(r"[0-9.]+", host):
        try:
            ipaddress.IPv4Address(host)
        except ValueError as error:
            raise ValueError(f"{given} is no IPv4 address: {error}") from None
    elif not _NAME.fullmatch(host) or not _encodes(host):
        raise ValueError(f"{given!r} is neither a host's name nor an IP address, nor auto")
    return host


def _in_utf8(text: str) -> bool:
    try:
        text.encode()
    except UnicodeError:
        return False
    return True


def _encodes(name: str) -> bool:
    """Whether it can be asked for: letters beyond ASCII follow rules (IDNA, RFC 3490)."""
    try:
        name.encode("idna")
    except UnicodeError:
        return False
    return True
