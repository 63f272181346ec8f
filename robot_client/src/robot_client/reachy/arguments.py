"""The flags that put a brain of one's own in the place of OpenAI, for whichever parser takes them.

An app that builds them in needs two calls: `add_local_server_arguments(parser)` where it declares
its flags, and `make_handler(args, deps, …)` where it makes its handler.
"""

from __future__ import annotations

import argparse
import os
from typing import TYPE_CHECKING, Any

from robot_client.address import DEFAULT_PORT, brain_address
from robot_client.reachy.server import LocalServer, default_robot_id

if TYPE_CHECKING:
    from robot_client.local_socket_handler import LocalSocketHandler

MAX_PORT = 65535

# The flags are the environment's names (LocalServer.from_environment) said on the command line.
VARIABLES = {
    "local_server_ip": "LOCAL_SERVER_IP",
    "local_server_port": "LOCAL_SERVER_PORT",
    "local_server_token": "LOCAL_SERVER_TOKEN",
    "local_server_tls": "LOCAL_SERVER_TLS",
    "robot_id": "ROBOT_ID",
    "echo_cancellation": "LOCAL_SERVER_ECHO_CANCELLATION",
}


def add_local_server_arguments(parser: argparse.ArgumentParser) -> None:
    """Add `--local-server-ip` and what goes with it to a parser."""
    group = parser.add_argument_group(
        "local server",
        "With --local-server-ip (or $LOCAL_SERVER_IP) a Robot Brain on the network hears, thinks "
        "and speaks, and no OpenAI key is needed. Without, the app does as it always did.",
    )
    group.add_argument(
        "--local-server-ip",
        type=_host,
        metavar="HOST",
        help="a name, an address, a ws:// or wss:// URL, or 'auto' to look for it (mDNS)",
    )
    group.add_argument(
        "--local-server-port",
        type=_port,
        metavar="PORT",
        help=f"default {DEFAULT_PORT}; with 'auto' what the brain announces",
    )
    group.add_argument(
        "--local-server-token",
        metavar="TOKEN",
        help="default $LOCAL_SERVER_TOKEN or $BRAIN_TOKEN, which unlike a flag doesn't show in ps",
    )
    group.add_argument(
        "--local-server-tls",
        action="store_const",
        const="1",
        help="wss:// rather than ws://",
    )
    group.add_argument(
        "--robot-id",
        metavar="ID",
        help=f"the brain remembers a robot by its id (default {default_robot_id()})",
    )
    group.add_argument(
        "--no-echo-cancellation",
        dest="echo_cancellation",
        action="store_const",
        const="0",
        help="the microphone hears the speaker; the robot can't be interrupted by voice then",
    )


def local_server(args: argparse.Namespace) -> LocalServer | None:
    """What the flags say, and the environment where they are silent. None: no brain is named.

    args: of a parser that went through `add_local_server_arguments`. Raises `ValueError`, with a
    sentence for people, for what contradicts itself and for `--local-server-…` without an ip.
    """
    flags = {name: value for name in VARIABLES if (value := getattr(args, name)) is not None}
    said = {VARIABLES[name]: str(value) for name, value in flags.items()}
    environment = {**os.environ, **said}
    if environment.get("LOCAL_SERVER_IP", "").strip():
        return LocalServer.from_environment(environment)
    if lonely := [name for name in flags if name.startswith("local_server")]:
        flag = "--" + lonely[0].replace("_", "-")
        raise ValueError(f"{flag} says nothing without --local-server-ip")
    return None


def make_handler(
    args: argparse.Namespace,
    deps: Any,
    gradio_mode: bool | None = None,
    instance_path: str | None = None,
) -> LocalSocketHandler | None:
    """The app's handler if a brain is named, and the app asks for no OpenAI key then; else None.

    deps: the app's `ToolDependencies`. gradio_mode: `args.gradio`, if left out. Raises
    `ValueError` as `local_server` does.
    """
    server = local_server(args)
    if server is None:
        return None
    from robot_client.local_socket_handler import LocalSocketHandler  # brings fastrtc

    if gradio_mode is None:
        gradio_mode = bool(getattr(args, "gradio", False))
    return LocalSocketHandler(deps, gradio_mode, instance_path, server=server)


def _host(text: str) -> str:
    try:
        brain_address(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error
    return text


def _port(text: str) -> int:
    if not (text.isascii() and text.isdecimal()) or not 1 <= int(text) <= MAX_PORT:
        raise argparse.ArgumentTypeError(f"{text!r} is no port: a number from 1 to {MAX_PORT}")
    return int(text)
