"""Which web pages may talk to the brain.

A browser names the page's origin (RFC 6454), a robot mostly none. Without this check any page that
somebody in the house opens could listen and speak through the brain.
"""

from __future__ import annotations

import ipaddress
import socket
from dataclasses import dataclass
from urllib.parse import urlsplit

_PORTS = {"http": 80, "https": 443}
# Names that no page of the internet can have: for one of those the page's own server could say
# that its address is the brain's (DNS rebinding), and then be taken for the brain's own page.
_HOME = (".local", ".lan", ".home", ".internal", ".localdomain", ".home.arpa", ".localhost")


@dataclass(frozen=True)
class Origins:
    """`listed`: origins that are let in beside the brain's own. `everybody`: any is."""

    listed: frozenset[str] = frozenset()
    everybody: bool = False

    @classmethod
    def of(cls, setting: str) -> Origins:
        """From `ALLOWED_ORIGINS`: empty, `*`, or origins with commas between."""
        names = [name.strip() for name in setting.split(",") if name.strip()]
        return cls(frozenset(map(_normal, names)), everybody="*" in names)

    def allow(self, origin: str, host: str) -> bool:
        """Whether a page of `origin` may send a request that has `host` in its header Host.

        Its own is an origin of the same host and port, if that can't be a name of the internet.
        """
        if self.everybody or _normal(origin) in self.listed:
            return True
        scheme, _, place = _normal(origin).partition("://")
        if scheme not in _PORTS or not host:
            return False
        return place == _normal(f"{scheme}://{host}").partition("://")[2] and _at_home(place)


def _normal(origin: str) -> str:
    """In lower case, without the port that goes without saying."""
    lower = origin.strip().lower()
    scheme, separator, place = lower.partition("://")
    if separator and place.endswith(f":{_PORTS.get(scheme)}"):
        place = place.rpartition(":")[0]
    return f"{scheme}{separator}{place}"


def _at_home(place: str) -> bool:
    try:
        name = urlsplit(f"//{place}").hostname or ""
    except ValueError:
        return False
    try:
        ipaddress.ip_address(name)
    except ValueError:
        name = name.rstrip(".")
        own = socket.gethostname().lower()
        return "." not in name or name.endswith(_HOME) or name == own
    return True
