"""One WebSocket to the brain: opening it, noticing that nobody is there, and hanging up."""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import socket as sockets
import ssl
from collections.abc import Mapping
from typing import Any

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import (
    ConnectionClosed,
    InvalidMessage,
    InvalidStatus,
    InvalidURI,
    WebSocketException,
)
from websockets.uri import parse_uri

from robot_client.reconnect import GiveUp, Retry, after_refusal
from robot_client.requests import MAX_MESSAGE_BYTES

# A dead peer is found within both together: less than the 10 s that the protocol promises.
PING_S = 4.0  # from an answer to the next ping
PONG_S = 5.0  # how long an answer may take
_GRACE_S = 0.25
OPEN_S = 5.0
CLOSE_S = 2.0
_NEXT_ADDRESS_S = 0.25  # RFC 8305: when the next address of a name is tried beside the first
# Half a second of 16 kHz sound. What waits in socket buffers can't be shed when the network stalls,
# and is old when it arrives; the systems' defaults hold minutes of it.
_UNSENT_BYTES = 16_384
_WRITE_BYTES = 8_192


async def dial(url: str, headers: Mapping[str, str] | None) -> ClientConnection | Retry | GiveUp:
    """An open socket to `url`, or what there is to be done instead."""
    try:
        parse_uri(url).host.encode("idna")
    except (InvalidURI, ValueError) as error:
        return GiveUp(f"{url} is no address: {error}")
    try:
        socket = await connect(
            url,
            additional_headers=headers,
            compression=None,  # sound doesn't shrink, and the robot has better uses for its CPU
            proxy=None,  # the brain is on the local network
            open_timeout=OPEN_S,
            ping_interval=None,  # see `until_silent`
            close_timeout=CLOSE_S,
            max_size=4 * MAX_MESSAGE_BYTES,
            write_limit=_WRITE_BYTES,
            **_several_addresses(url),
        )
    except InvalidStatus as refusal:
        answer = refusal.response
        return after_refusal(answer.status_code, answer.headers.get("Retry-After"))
    except (OSError, EOFError, WebSocketException, asyncio.TimeoutError) as error:
        return Retry(f"no brain at {url}: {_why(error, url)}")
    except ValueError as error:  # it was sent on to what is no address, by a hotel's portal, say
        return Retry(f"no brain at {url}: {error}")
    _keep_buffers_small(socket)
    return socket


async def until_silent(socket: ClientConnection) -> bool:
    """Ping for as long as the socket is open. Drops it, and returns True, if an answer is missing.

    The library's own pings wait for room in the write buffer before their time limit begins, and
    so for ever on a link that is stalled while the microphone goes on: the very case to be noticed.
    """
    while True:
        limit = _DropAfter(socket, PONG_S)
        try:
            await (await socket.ping())
        except ConnectionClosed:
            return limit.reached
        finally:
            limit.cancel()
        await asyncio.sleep(PING_S)


async def hang_up(socket: ClientConnection) -> None:
    """Close with 1000, and by force where the peer or the network doesn't take that in time."""
    # The library's own time limit, too, begins when its write buffer has room.
    limit = _DropAfter(socket, CLOSE_S)
    try:
        await socket.close()
    finally:
        limit.cancel()
        socket.transport.abort()


def _why(error: Exception, url: str) -> str:
    """What is wrong, and what a person may do about it where that isn't in the words."""
    words = str(error) or type(error).__name__
    if isinstance(error, InvalidURI):
        return f"whoever answers there sends elsewhere: {words}"
    if isinstance(error, ssl.SSLCertVerificationError):
        return (
            f"its certificate isn't trusted here: {error.verify_message}; SSL_CERT_FILE may name a "
            "file with the one to trust"
        )
    if isinstance(error, (ssl.SSLError, ConnectionResetError)) and url.startswith("wss:"):
        return f"{words}; is it one without TLS (ws://)?"
    if isinstance(error, InvalidMessage):
        return f"{words}; is it one with TLS (wss://), or another program?"
    return words


class _DropAfter:
    """Drops a socket after so many seconds, unless cancelled; whoever waits for it then wakes.

    (`asyncio.wait_for` loses a cancel that comes together with a result, before Python 3.12.)
    """

    def __init__(self, socket: ClientConnection, seconds: float) -> None:
        self.reached = False
        self._socket = socket
        self._timer = asyncio.get_running_loop().call_later(seconds, self._last_chance)

    def cancel(self) -> None:
        self._timer.cancel()

    def _last_chance(self) -> None:
        # After something has held up the loop the time is over, and the answer lies there unread.
        self._timer = asyncio.get_running_loop().call_later(_GRACE_S, self._drop)

    def _drop(self) -> None:
        self.reached = True
        self._socket.transport.abort()


def _several_addresses(url: str) -> dict[str, Any]:
    """A name may have an address that leads nowhere (a `.local` name's IPv6 address, mostly).

    Tried one after another, the first would use up all the time there is, each time. asyncio's own
    loops can try them beside each other; others (uvloop) don't know the argument. Only where there
    may be several: cancelled in the moment of its success, such a race leaves its socket open.
    """
    if not isinstance(asyncio.get_running_loop(), asyncio.BaseEventLoop) or _is_literal(url):
        return {}
    return {"happy_eyeballs_delay": _NEXT_ADDRESS_S}


def _is_literal(url: str) -> bool:
    try:
        ipaddress.ip_address(parse_uri(url).host)
    except ValueError:
        return False
    return True


def _keep_buffers_small(socket: ClientConnection) -> None:
    option = getattr(sockets, "TCP_NOTSENT_LOWAT", None)  # Linux and macOS
    raw = socket.transport.get_extra_info("socket")
    if option is not None and raw is not None:
        with contextlib.suppress(OSError):
            raw.setsockopt(sockets.IPPROTO_TCP, option, _UNSENT_BYTES)
