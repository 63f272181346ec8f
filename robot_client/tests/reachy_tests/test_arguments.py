"""The flags, the environment behind them, and the handler that an app makes of them."""

from __future__ import annotations

import argparse
import asyncio
from typing import Any

import pytest
from reachy_mini_conversation_app.config import config

from robot_client.address import BrainAddress
from robot_client.local_socket_handler import LocalSocketHandler
from robot_client.reachy.arguments import add_local_server_arguments, local_server, make_handler
from robot_client.reachy.server import LocalServer, default_robot_id


def parsed(line: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    parser.add_argument("--gradio", action="store_true")
    add_local_server_arguments(parser)
    return parser.parse_args(line.split())


def server(line: str) -> LocalServer:
    found = local_server(parsed(line))
    assert found is not None
    return found


def test_without_the_flags_there_is_no_local_server() -> None:
    assert local_server(parsed("")) is None
    assert local_server(parsed("--robot-id x --no-echo-cancellation")) is None


def test_the_ip_alone_is_enough() -> None:
    assert server("--local-server-ip 192.168.1.20") == LocalServer(
        BrainAddress("192.168.1.20", robot_id=default_robot_id()), echo_cancellation=True
    )


def test_every_flag() -> None:
    assert server(
        "--local-server-ip brain.local --local-server-port 8000 --local-server-token t0ken "
        "--local-server-tls --robot-id desk --no-echo-cancellation"
    ) == LocalServer(
        BrainAddress("brain.local", 8000, tls=True, robot_id="desk", token="t0ken"),
        echo_cancellation=False,
    )


def test_a_url_says_all_at_once() -> None:
    address = server("--local-server-ip wss://brain.example:8443/ws").address
    assert (address.host, address.port, address.tls) == ("brain.example", 8443, True)
    assert server("--local-server-ip auto").address.port is None


def test_the_robot_id_is_the_same_after_each_start() -> None:
    first, second = (server("--local-server-ip auto").address.robot_id for _ in range(2))
    assert first == second == default_robot_id()
    assert str(first).startswith("reachy-mini-")
    assert len(str(first)) <= 64


def test_the_environment_speaks_where_the_flags_are_silent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOCAL_SERVER_IP", "10.0.0.7")
    monkeypatch.setenv("LOCAL_SERVER_PORT", "8000")
    monkeypatch.setenv("BRAIN_TOKEN", "secret")
    assert server("").address == BrainAddress(
        "10.0.0.7", 8000, robot_id=default_robot_id(), token="secret"
    )
    monkeypatch.setenv("LOCAL_SERVER_TOKEN", "nearer")
    said = server("--local-server-ip 10.0.0.8 --local-server-port 9000").address
    assert (said.host, said.port, said.token) == ("10.0.0.8", 9000, "nearer")


@pytest.mark.parametrize(
    "line",
    [
        "--local-server-ip h --local-server-port 0",
        "--local-server-ip h --local-server-port 65536",
        "--local-server-ip h --local-server-port http",
        "--local-server-ip ftp://h",
        "--local-server-ip ws://h/other",
    ],
)
def test_nonsense_is_refused_while_parsing(line: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        parsed(line)
    assert end.value.code == 2
    assert "argument --local-server-" in capsys.readouterr().err


def test_contradictions_are_refused_with_both_sides_named() -> None:
    with pytest.raises(ValueError, match=r"8000.*9000|9000.*8000"):
        server("--local-server-ip ws://h:8000 --local-server-port 9000")
    with pytest.raises(ValueError, match="--local-server-port says nothing without"):
        local_server(parsed("--local-server-port 8000"))


def test_an_app_makes_its_own_handler_without_the_flags(deps: Any) -> None:
    assert make_handler(parsed(""), deps) is None
    assert config.OPENAI_API_KEY is None


def test_an_app_gets_a_handler_and_needs_no_key(deps: Any) -> None:
    handler = make_handler(parsed("--local-server-ip h --gradio"), deps, instance_path="here")
    assert isinstance(handler, LocalSocketHandler)
    assert (handler.deps, handler.gradio_mode, handler.instance_path) == (deps, True, "here")
    assert handler.core.server.address.host == "h"
    assert isinstance(handler.output_queue, asyncio.Queue)
    assert str(config.OPENAI_API_KEY).strip()


def test_a_real_key_is_left_alone(deps: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(config, "OPENAI_API_KEY", "the-owners-own")
    make_handler(parsed("--local-server-ip h"), deps)
    assert config.OPENAI_API_KEY == "the-owners-own"
