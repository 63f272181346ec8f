"""Where a brain listens, and where it waits for its address."""

from __future__ import annotations

import socket

import pytest

from brain.ops.listening import listening_socket

ELSEWHERE = "203.0.113.7"  # for documentation (RFC 5737): nobody has it
ELSEWHERE_6 = "2001:db8::7"


@pytest.mark.parametrize("host", ["127.0.0.1", "0.0.0.0", "::1"])
def test_it_listens(host: str) -> None:
    with listening_socket(host, 0, waits=False) as listener:
        address = listener.getsockname()[:2]
        target = address if host != "0.0.0.0" else ("127.0.0.1", address[1])
        socket.create_connection(target, 5).close()


@pytest.mark.parametrize("host", [ELSEWHERE, ELSEWHERE_6])
def test_an_address_that_the_machine_has_not_yet(
    host: str, caplog: pytest.LogCaptureFixture
) -> None:
    with pytest.raises(OSError, match=f"can't listen on {host} port 0: Cannot assign"):
        listening_socket(host, 0, waits=False)
    with listening_socket(host, 0, waits=True) as listener:
        assert listener.getsockname()[0] == host
    assert f"SERVER_HOST={host} is no address of this machine" in caplog.text


@pytest.mark.parametrize("waits", [True, False])
def test_a_port_that_is_taken(waits: bool) -> None:
    with listening_socket("127.0.0.1", 0, waits=False) as listener:
        port = listener.getsockname()[1]
        with pytest.raises(OSError, match=f"port {port}: Address already in use"):
            listening_socket("127.0.0.1", port, waits=waits)
