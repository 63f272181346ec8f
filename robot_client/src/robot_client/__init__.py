"""The robot's side of Robot Brain: a connection that lasts, playback with marks, and tools.

The names below may be imported from here; each brings what it needs, and no more, when it is used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from robot_client.address import Locator as Locator
    from robot_client.address import brain_address as brain_address
    from robot_client.address import brain_url as brain_url
    from robot_client.connection import Connection as Connection
    from robot_client.conversation import Conversation as Conversation
    from robot_client.local_socket_handler import LocalSocketHandler as LocalSocketHandler
    from robot_client.requests import Session as Session
    from robot_client.tools import Tool as Tool
    from robot_client.tools import ToolBox as ToolBox
    from robot_client.wav import read_wav_at as read_wav_at

_HOMES = {
    "Connection": "connection",
    "Conversation": "conversation",
    "LocalSocketHandler": "local_socket_handler",
    "Locator": "address",
    "Session": "requests",
    "Tool": "tools",
    "ToolBox": "tools",
    "brain_address": "address",
    "brain_url": "address",
    "read_wav_at": "wav",
}


def __getattr__(name: str) -> Any:
    """A public name, from its module (PEP 562)."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    globals()[name] = value
    return value
