"""What a handler must know of its brain, from flags or from the environment."""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping
from dataclasses import dataclass

from robot_client.address import TRUE, BrainAddress, brain_address


@dataclass(frozen=True)
class LocalServer:
    """The brain's address, and what the robot tells it of itself.

    `echo_cancellation`: the microphone doesn't hear the speaker. The Reachy Mini's XMOS XVF3800
    cancels the echo of what the robot plays, and in the browser WebRTC does.
    """

    address: BrainAddress
    echo_cancellation: bool = True
    idle_after_s: float = 15.0

    @staticmethod
    def from_environment(environment: Mapping[str, str] = os.environ) -> LocalServer:
        """By LOCAL_SERVER_IP, _PORT, _TOKEN, _TLS and _ECHO_CANCELLATION, and ROBOT_ID.

        For an app that nobody can give flags to, such as one that the robot's dashboard starts.
        Without LOCAL_SERVER_IP the brain is looked for on the network. Raises `ValueError`.
        """
        port = environment.get("LOCAL_SERVER_PORT", "").strip()
        if port and not port.isdecimal():
            raise ValueError(f"LOCAL_SERVER_PORT={port}: a port is a number from 1 to 65535")
        return LocalServer(
            brain_address(
                environment.get("LOCAL_SERVER_IP", "").strip() or "auto",
                int(port) if port else None,
                tls=environment.get("LOCAL_SERVER_TLS", "").strip().lower() in TRUE,
                robot_id=environment.get("ROBOT_ID", "").strip() or default_robot_id(),
                token=environment.get("LOCAL_SERVER_TOKEN") or environment.get("BRAIN_TOKEN"),
            ),
            echo_cancellation=environment.get("LOCAL_SERVER_ECHO_CANCELLATION", "1").strip().lower()
            in TRUE,
        )


def default_robot_id() -> str:
    """The same after each start, so that the brain finds the robot's history again."""
    return f"reachy-mini-{socket.gethostname().split('.')[0] or 'robot'}"
