"""A real systemd as PID 1 of a container without network: systemd-nspawn, entered by nsenter.

Nothing outlives the test, even one that is killed: the container dies with whoever started it.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

INSIDE = Path(__file__).parent / "inside"
_NOTHING_ELSE = ["env", "-i", "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"]
_TALK = "/opt/robot-brain/current/venv/bin/python"
UP_S = 60.0

running: list[Guest] = []
"""Those that a failing test tells the journal of."""


@dataclass
class Guest:
    """A container that is up. `root`: its files, which the host may write to as well; `init`: the
    number of its PID 1 on the host."""

    root: Path
    process: subprocess.Popen[bytes]
    init: int
    scripts: Path = field(default=Path("/run/appliance-test"))

    def run(
        self,
        *command: str,
        check: bool = True,
        seconds: float = 60,
        environ: Mapping[str, str] | None = None,
    ) -> subprocess.CompletedProcess[str]:
        """A program inside, as root; what it says goes into the error if it fails."""
        given = [f"{name}={value}" for name, value in (environ or {}).items()]
        done = subprocess.run(
            ["nsenter", "--target", str(self.init), "--mount", "--uts", "--ipc", "--net", "--pid",
             "--cgroup", "--root", "--wd", *_NOTHING_ELSE, *given, *command],
            stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=seconds,
        )  # fmt: skip
        assert done.returncode == 0 or not check, (
            f"{' '.join(command)}: status {done.returncode}\n{done.stdout}\n{done.stderr}"
        )
        return done

    def shell(self, script: str, **options: Any) -> str:
        """What the lines of `script` say."""
        return self.run("sh", "-ec", script, **options).stdout.strip()

    def systemctl(self, *arguments: str, check: bool = True, seconds: float = 60) -> str:
        return self.run("systemctl", *arguments, check=check, seconds=seconds).stdout.strip()

    def show(self, name: str, unit: str = "brain.service") -> str:
        return self.systemctl("show", f"--property={name}", "--value", unit)

    def until(self, name: str, start: str, seconds: float = 60) -> str:
        """Wait until this property of the brain's unit begins like this; all of it."""
        end = time.monotonic() + seconds
        while not (now := self.show(name)).startswith(start):
            assert time.monotonic() < end, f"{name} is {now!r}, not {start!r}, after {seconds} s"
            time.sleep(0.2)
        return now

    def restarted(self, pid: str, seconds: float = 60) -> None:
        """Wait until another process than `pid` serves."""
        end = time.monotonic() + seconds
        while True:
            now = self.show("MainPID")
            if now not in (pid, "0") and self.show("SubState") == "running":
                return
            assert time.monotonic() < end, f"no other process than {pid} after {seconds} s"
            time.sleep(0.2)

    def journal(self, unit: str = "") -> str:
        """What was logged inside, of one unit or of all."""
        only = [f"--unit={unit}"] if unit else []
        return self.run("journalctl", "--no-pager", "--output=short-precise", *only).stdout

    def journal_end(self) -> str:
        """Its last lines, for whoever looks into a failure, which must be told in any case."""
        try:
            return "\n".join(self.journal().splitlines()[-150:])
        except Exception as error:  # noqa: BLE001 - see above
            return f"(the journal can't be read: {error})"

    def ready(self) -> dict[str, Any]:
        """The brain's `/ready`."""
        script = (
            "import json, urllib.request, urllib.error\n"
            "try: answer = urllib.request.urlopen('http://127.0.0.1:8100/ready', timeout=5)\n"
            "except urllib.error.HTTPError as error: answer = error\n"
            "print(answer.read().decode())"
        )
        answer: dict[str, Any] = json.loads(self.run("python3", "-c", script).stdout)
        return answer

    def until_whole(self, seconds: float = 60) -> None:
        """Wait until the brain serves with all that its profile asks for."""
        end = time.monotonic() + seconds
        while (now := self.ready())["degraded"] or not now["ready"]:
            assert time.monotonic() < end, f"after {seconds} s: {now}"
            time.sleep(0.5)

    def put(self, file: Path) -> str:
        """A file of the host, or a script of `inside/`, for a program inside; where it is there."""
        self.run("mkdir", "-p", str(self.scripts))
        target = self.scripts / file.name
        with file.open("rb") as source:
            subprocess.run(
                ["nsenter", "--target", str(self.init), "--mount", "--root",
                 "/bin/sh", "-c", f"cat >{target}"], stdin=source, check=True, timeout=60,
            )  # fmt: skip
        return str(target)

    def talk(self, *arguments: str, seconds: float = 60) -> dict[str, Any]:
        """A robot inside, over /ws: `inside/talk.py`, with the Python of the installed brain."""
        script = self.put(INSIDE / "talk.py")
        told = self.run(_TALK, "-I", script, *arguments, seconds=seconds).stdout
        answer: dict[str, Any] = json.loads(told)
        return answer

    def drop_in(self, name: str, text: str) -> None:
        """A drop-in for the brain's unit; without text it goes away again."""
        folder = self.root / "etc/systemd/system/brain.service.d"
        folder.mkdir(exist_ok=True)
        if text:
            (folder / name).write_text(text)
        else:
            (folder / name).unlink(missing_ok=True)
        self.systemctl("daemon-reload")

    def power_off(self) -> None:
        """In good order."""
        self.systemctl("--no-block", "poweroff")
        self.process.wait(60)


@contextlib.contextmanager
def booted(root: Path, name: str, *, stick: Path | None = None) -> Iterator[Guest]:
    """Boot the system in `root`; its end is the caller's or, at the latest, this context's.

    `stick` is seen inside as /media/stick, read-only: all that this machine has of the world.
    """
    bind = [f"--bind-ro={stick}:/media/stick"] if stick is not None else []
    log = root.parent / f"{name}.log"
    with log.open("wb") as sink:
        process = subprocess.Popen(
            # (systemd-nspawn that is killed leaves its container: hence a namespace around both,
            # which ends with its first process, and that with this one.)
            ["setpriv", "--pdeathsig", "KILL", "unshare", "--pid", "--fork", "--kill-child",
             "--mount", "--mount-proc", "systemd-nspawn", "--quiet", f"--directory={root}",
             f"--machine={name}-{os.getpid()}", "--register=no", "--keep-unit", "--private-network",
             "--resolv-conf=off", "--timezone=off", "--link-journal=no", *bind, "--boot",
             "--console=pipe", "systemd.show_status=no"],
            stdin=subprocess.DEVNULL, stdout=sink, stderr=sink,
        )  # fmt: skip
    guest = None
    try:
        guest = Guest(root, process, _init_of(process, log))
        _until_up(guest, log)
        running.append(guest)
        yield guest
    except BaseException:
        # A fixture's own failure: by the time that it is told, the machine is gone.
        if guest is not None and process.poll() is None:
            print(guest.journal_end())
        raise
    finally:
        if guest in running:
            running.remove(guest)
        process.kill()
        process.wait(10)


def _init_of(process: subprocess.Popen[bytes], log: Path) -> int:
    """The child of systemd-nspawn (a child of `process`) that is the first of its namespace."""
    end = time.monotonic() + UP_S
    while time.monotonic() < end:
        assert process.poll() is None, log.read_text(errors="replace")
        for nspawn in _children(process.pid):
            for child in _children(nspawn):
                # Its numbers in our namespace, in the one around it, and in its own.
                with contextlib.suppress(OSError):
                    status = Path(f"/proc/{child}/status").read_text()
                    numbers = status.partition("NSpid:")[2].partition("\n")[0].split()
                    if numbers[-1] == "1":
                        return child
        time.sleep(0.1)
    raise AssertionError(f"no PID 1 in the container: {log.read_text(errors='replace')}")


def _children(pid: int) -> list[int]:
    with contextlib.suppress(OSError):
        return [
            int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        ]
    return []


def _until_up(guest: Guest, log: Path) -> None:
    """Until the boot is over, well or not."""
    end = time.monotonic() + UP_S
    while True:
        # (Its bus may not be there yet; --wait only waits for the boot's end once it is.)
        told = guest.run("systemctl", "is-system-running", "--wait", check=False, seconds=UP_S)
        if told.stdout.strip() in ("running", "degraded"):
            return
        assert guest.process.poll() is None, log.read_text(errors="replace")
        assert time.monotonic() < end, f"{told}\n{log.read_text(errors='replace')}"
        time.sleep(0.2)


def unpacked(archive: Path, folder: Path) -> Path:
    """The system of `archive` in `folder`, made anew."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    subprocess.run(
        ["tar", "--extract", "--numeric-owner", "--preserve-permissions", f"--file={archive}",
         f"--directory={folder}"], check=True,
    )  # fmt: skip
    # Each boot learns its own.
    (folder / "etc/machine-id").write_text("")
    return folder
