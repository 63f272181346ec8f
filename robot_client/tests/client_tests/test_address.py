"""What a person may say of where the brain is, and the URL that comes of it."""

from __future__ import annotations

import re
import socket
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from websockets.asyncio.client import connect
from websockets.asyncio.server import serve
from websockets.uri import parse_uri

from robot_client.address import BrainAddress, Locator, brain_address, brain_url


@pytest.mark.parametrize(
    ("said", "host", "port", "tls"),
    [
        ("192.168.1.20", "192.168.1.20", None, False),
        (" jetson.local ", "jetson.local", None, False),
        ("jetson.local.", "jetson.local.", None, False),
        ("brain_1", "brain_1", None, False),
        ("küche", "küche", None, False),
        ("192.168.1.20:8000", "192.168.1.20", 8000, False),
        ("ws://192.168.1.20:8000/ws", "192.168.1.20", 8000, False),
        ("http://192.168.1.20/", "192.168.1.20", None, False),
        ("wss://Brain.Home", "Brain.Home", None, True),
        ("https://brain.home:443/ws/", "brain.home", 443, True),
        ("::1", "::1", None, False),
        ("[::1]:8000", "::1", 8000, False),
        ("fe80::1%eth0", "fe80::1%eth0", None, False),
        ("ws://[fe80::1%eth0]:8000", "fe80::1%eth0", 8000, False),
        ("AUTO", "auto", None, False),
        ("auto:8000", "auto", 8000, False),
        ("wss://auto", "auto", None, True),
    ],
)
def test_what_a_person_may_say(said: str, host: str, port: int | None, tls: bool) -> None:
    assert brain_address(said) == BrainAddress(host, port, tls)
    assert brain_address(said, tls=tls).tls == tls


@pytest.mark.parametrize(
    ("said", "of_it"),
    [
        ("", "empty"),
        ("   ", "empty"),
        ("ws://", "no host"),
        ("ws://:8000", "no host"),
        ("192.168.1.300", "no IPv4 address"),
        ("192.168.1", "no IPv4 address"),
        ("fe80::1::2", "no IPv6 address"),
        ("fe80::1%", "after its %"),
        ("fe80::1%eth0/24", "after its %"),
        ("[::1", "bracket"),
        ("[::1]8000", "bracket"),
        ("[jetson]:8000", "brackets"),
        ("jetson:", "for a port"),
        ("jetson:http", "for a port"),
        ("jetson:-1", "for a port"),
        ("jetson:²", "for a port"),
        ("jetson:0", "no port"),
        ("jetson:65536", "no port"),
        ("the kitchen", "neither"),
        ("jetson/ws", "neither"),
        ("user@jetson", "neither"),
        ("-" * 64, "neither"),
        ("ftp://jetson", "ws:// or wss://"),
        ("ws://jetson/converse", "/converse"),
        ("ws://jetson/ws?robot_id=r", "after its path"),
        ("ws://me:secret@jetson", "on its own"),
        ("ws://[jetson/ws", "no address"),
    ],
)
def test_nonsense_is_named(said: str, of_it: str) -> None:
    with pytest.raises(ValueError, match=re.escape(of_it)) as refused:
        brain_address(said)
    assert "secret" not in str(refused.value)


def test_what_contradicts_itself_is_refused() -> None:
    assert brain_address("jetson:8000", 8000).port == 8000
    with pytest.raises(ValueError, match="port 8000, and port 8100 was given"):
        brain_address("ws://jetson:8000", 8100)
    with pytest.raises(ValueError, match="without TLS"):
        brain_address("ws://jetson", tls=True)
    for port in (0, -1, 65536):
        with pytest.raises(ValueError, match="from 1 to 65535"):
            brain_address("jetson", port)


def test_a_token_is_kept_and_not_shown() -> None:
    address = brain_address("jetson", token="s3cret", robot_id="")
    assert address.token == "s3cret"
    assert address.robot_id is None
    assert "s3cret" not in repr(address)
    assert brain_address("jetson", token="").token is None
    for token in ("two words", "broken\r\nHost: x", "schlüssel"):
        with pytest.raises(ValueError, match="token") as refused:
            brain_address("jetson", token=token)
        assert token not in str(refused.value)


@given(st.text(max_size=40), st.sampled_from(["", "ws://", "wss://"]), st.integers(1, 65535))
def test_whatever_is_taken_is_what_is_connected_to(text: str, scheme: str, port: int) -> None:
    try:
        address = brain_address(f"{scheme}{text}")
    except ValueError:
        return
    parsed = parse_uri(brain_url(address.host, address.port or port, "r", tls=address.tls))
    assert parsed.host == address.host.lower() or not address.host.isascii()
    assert parsed.username is None
    assert parsed.port == (address.port or port)
    assert parsed.secure == address.tls == (scheme == "wss://")
    assert (parsed.path, parsed.query) == ("/ws", "robot_id=r")


@given(st.ip_addresses().map(str), st.integers(1, 65535))
def test_every_ip_address_is_taken(ip: str, port: int) -> None:
    assert brain_address(ip, port) == BrainAddress(ip, port)
    bracketed = f"[{ip}]" if ":" in ip else ip
    assert brain_address(f"{bracketed}:{port}") == BrainAddress(ip, port)
    assert brain_address(brain_url(ip, port)) == BrainAddress(ip, port)


def test_a_named_brain_is_not_searched_for(run: Any) -> None:
    said: list[str] = []
    locate = Locator(brain_address("jetson", robot_id="a b", tls=True), said.append)
    assert run(locate()) == "wss://jetson:8100/ws?robot_id=a%20b"
    assert run(Locator(BrainAddress("::1", 8000))()) == "ws://[::1]:8000/ws"
    assert said == []


def test_a_scope_gets_through_to_the_socket(run: Any) -> None:
    """The loopback interface's number, as every machine has that."""
    scope = socket.if_nameindex()[0][0]

    async def main() -> None:
        async with serve(lambda visitor: visitor.wait_closed(), "::1", 0) as server:
            port = server.sockets[0].getsockname()[1]
            url = await Locator(brain_address(f"::1%{scope}", port))()
            assert url == f"ws://[::1%{scope}]:{port}/ws"
            async with connect(url, proxy=None) as robot:
                await (await robot.ping())

    run(main())
