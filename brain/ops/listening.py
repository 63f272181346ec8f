"""The socket that robots come to."""

from __future__ import annotations

import errno
import logging
import socket

log = logging.getLogger(__name__)

_BACKLOG = 256
# Of Linux; Python has no names for them.
_IP_FREEBIND, _IPV6_FREEBIND = 15, 78


def listening_socket(host: str, port: int, *, waits: bool) -> socket.socket:
    """Bound to `host`, which names an address, and listening.

    `waits`: where the machine doesn't have that address yet (a network that comes after the brain),
    it listens there all the same, and is reached as soon as it has. Raises OSError in words for a
    person.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=_BACKLOG)
    except OSError as error:
        if waits and error.errno == errno.EADDRNOTAVAIL:
            log.warning(
                "SERVER_HOST=%s is no address of this machine: no robot gets through until it is",
                host,
            )
            return _bound_ahead(host, port, family)
        raise OSError(f"can't listen on {host} port {port}: {error.strerror}") from error


def _bound_ahead(host: str, port: int, family: socket.AddressFamily) -> socket.socket:
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            listener.setsockopt(socket.IPPROTO_IPV6, _IPV6_FREEBIND, 1)
        else:
            listener.setsockopt(socket.IPPROTO_IP, _IP_FREEBIND, 1)
        listener.bind((host, port))
        listener.listen(_BACKLOG)
    except OSError as error:
        listener.close()
        raise OSError(f"can't listen on {host} port {port}: {error.strerror}") from error
    return listener
