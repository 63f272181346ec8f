"""The life of the brain's unit under a real systemd: started, killed, hung, worn out, stopped.

The manager is a user's (`tests.deploy.user_manager`), the brain is the real one on pocket models.
"""

from __future__ import annotations

import json
import socket
import sys
import urllib.request
from pathlib import Path

from tests.deploy.user_manager import Manager, a_manager


def state_of(port: int) -> bool:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/ready", timeout=5) as answer:
        return bool(json.load(answer)["ready"])


def up_again(manager: Manager, restarts: int) -> None:
    manager.until("NRestarts", str(restarts))
    manager.until("SubState", "running")


def test_it_comes_back_from_all_and_is_given_up_on_in_the_end(tmp_path: Path) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = f"{sys.executable} -m brain serve --profile pocket --host 127.0.0.1 --port {port}"
    with a_manager(tmp_path, command) as manager:
        manager.systemctl("start", "brain.service")  # returns with READY=1
        assert state_of(port)
        assert manager.show("StatusText").startswith("ready; vad silero")

        manager.systemctl("kill", "--kill-who=main", "--signal=KILL", "brain.service")
        up_again(manager, 1)
        assert state_of(port)

        manager.systemctl("kill", "--kill-who=main", "--signal=STOP", "brain.service")
        up_again(manager, 2)
        assert state_of(port)
        # The watchdog did that, and the stacks of all threads say where it was.
        assert "Fatal Python error: Aborted" in manager.log

        manager.systemctl("stop", "brain.service")
        assert manager.show("Result") == "success"
        assert manager.show("SubState") == "dead"
        assert "gone down" in manager.log

        # What a restart doesn't cure: another program has its port.
        with socket.create_server(("127.0.0.1", port)):
            manager.systemctl("reset-failed", "brain.service", check=False)
            manager.systemctl("start", "brain.service", check=False)
            manager.until("SubState", "failed", 60)
            manager.until("NRestarts", "8")
        for _ in range(100):
            if manager.asked:
                break
            manager.show("SubState")
        assert manager.asked == ["--no-block reboot"], manager.log[-2_000:]
        assert "restarting the machine (1 of 3)" in manager.log
