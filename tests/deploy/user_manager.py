"""A real systemd of one's own, as a user's manager in namespaces, with the units of the appliance.

It needs root, `unshare` and `nsenter` (util-linux) and systemd's programs; nothing of it outlives
the test. What a user's manager can't do (another user, the sandbox) is left out of the units, and
their waits are shorter: what is kept is their life cycle.
"""

from __future__ import annotations

import contextlib
import os
import re
import shlex
import subprocess
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

UNITS = Path(__file__).parents[2] / "deploy" / "systemd"
_SYSTEMD = "/lib/systemd/systemd"
_NOT_A_USERS = re.compile(
    r"^(User|Group|Supplementary|Ambient|Capab|OOM|Limit|Lock|Memory|NoNew|Private|Protect|Remove"
    r"|Restrict|SystemCall|WorkingDir|Environment=(HOME|HF_)).*\n",
    flags=re.M,
)
_SHORTER = {"RestartSec=3": "RestartSec=0.2", "WatchdogSec=30": "WatchdogSec=2"}

# Stand-in for systemctl in the unit's script: the user's manager, and no machine is restarted.
_SYSTEMCTL = """#!/bin/sh
case "$*" in
    *reboot*) echo "$*" >>{asked} ;;
    *) XDG_RUNTIME_DIR={run} exec /usr/bin/systemctl --user "$@" ;;
esac
"""


@dataclass
class Manager:
    """`log`: what the units' programs said. `asked`: reboots."""

    folder: Path
    environ: Mapping[str, str]
    init: str
    """The number of the process that is the first one in there."""

    @property
    def log(self) -> str:
        return (self.folder / "said.log").read_text("utf-8", "replace")

    @property
    def asked(self) -> list[str]:
        file = self.folder / "asked"
        return file.read_text().splitlines() if file.exists() else []

    def systemctl(self, *arguments: str, check: bool = True) -> str:
        told = subprocess.run(
            ["nsenter", "--target", self.init, "--mount", "--pid", "--cgroup",
             "systemctl", "--user", *arguments], capture_output=True, text=True, timeout=60,
            env=self.environ,
        )  # fmt: skip
        assert told.returncode == 0 or not check, f"{told.stderr}\n{self.log[-4_000:]}"
        return told.stdout.strip()

    def show(self, name: str) -> str:
        return self.systemctl("show", f"--property={name}", "--value", "brain.service")

    def until(self, name: str, value: str, seconds: float = 40) -> None:
        """The brain's property has this value."""
        end = time.monotonic() + seconds
        while (now := self.show(name)) != value:
            assert time.monotonic() < end, f"{name}={now}, not {value}\n{self.log[-4_000:]}"
            time.sleep(0.1)


def _lay_out(folder: Path, command: str) -> None:
    scripts = folder / "scripts"
    scripts.mkdir()
    (folder / "units").mkdir()
    asked, run = shlex.quote(f"{folder}/asked"), shlex.quote(f"{folder}/run")
    (scripts / "systemctl").write_text(_SYSTEMCTL.format(asked=asked, run=run))
    (scripts / "systemctl").chmod(0o755)
    for name in ("brain.service", "brain-last-resort.service"):
        text = _NOT_A_USERS.sub("", (UNITS / name).read_text("utf-8"))
        for long, short in _SHORTER.items():
            text = text.replace(long, short)
        text = re.sub(r"(?<=^ExecStart=)/opt/robot-brain/current/bin/brain serve", command, text,
                      flags=re.M)  # fmt: skip
        text = text.replace("/opt/robot-brain/current/deploy/systemd", str(UNITS))
        text += f"[Service]\nStandardError=append:{folder}/said.log\n"
        text += f"Environment=PATH={scripts}:/usr/bin:/bin\n"
        (folder / "units" / name).write_text(text, "utf-8")


@contextlib.contextmanager
def a_manager(folder: Path, command: str) -> Iterator[Manager]:
    """Running, with the brain's units, `command` in the place of `brain serve`."""
    _lay_out(folder, command)
    (folder / "run").mkdir(mode=0o700)
    environ = {
        name: value
        for name, value in os.environ.items()
        if name not in ("DBUS_SESSION_BUS_ADDRESS", "INVOCATION_ID", "NOTIFY_SOCKET")
    } | {
        "XDG_RUNTIME_DIR": str(folder / "run"),
        "XDG_CONFIG_HOME": str(folder / "config"),
        "XDG_CACHE_HOME": str(folder / "cache"),
        "HOME": str(folder),
        "SYSTEMD_UNIT_PATH": f"{folder / 'units'}:/usr/lib/systemd/user",
        "BRAIN_CONFIG_DIR": str(folder / "etc"),
    }
    start = (
        # (Shared among themselves: so do credentials come to a unit.)
        "mount --make-rprivate / && mount --make-rshared / && "
        "mount -t tmpfs none /run && mkdir -p /run/systemd/system && "
        f"{_SYSTEMD} --user --log-target=console & wait"
    )
    with (folder / "manager.log").open("wb") as log:
        process = subprocess.Popen(
            ["unshare", "--pid", "--fork", "--mount", "--cgroup", "--mount-proc", "--kill-child",
             "sh", "-c", start],
            stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=environ,
        )  # fmt: skip
    try:
        end = time.monotonic() + 20
        while not (folder / "run/systemd/private").exists():
            log_so_far = (folder / "manager.log").read_text()
            assert process.poll() is None, log_so_far
            assert time.monotonic() < end, log_so_far
            time.sleep(0.05)
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
        yield Manager(folder, environ, children[0])
    finally:
        process.kill()  # and with it all in there
        process.wait(10)
