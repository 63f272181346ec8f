"""A virtual machine with a kernel of its own, whose power can be cut: qemu, in software.

(Not KVM unless APPLIANCE_QEMU_ACCEL=kvm asks for it: inside a virtual machine it may be there and
yet hang.)

Its root shell is systemd's own debug shell, on the second serial line: nothing is added to it.
"""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

BOOT_S = 480.0  # an emulated processor, on a machine that may be at work


@dataclass
class Machine:
    """One that is on. `console`: a file with all that the kernel and systemd said."""

    process: subprocess.Popen[bytes]
    line: socket.socket
    console: Path
    _read: str = ""
    _asked: int = 0

    def try_shell(self, script: str, seconds: float = 60) -> tuple[int, str]:
        """Exit status and output of some lines of sh, run as root."""
        # In a shell of their own, so that no line of them can end this one.
        quoted = script.replace("'", "'\\''")
        mark = self._send(f"sh -c '{quoted}' 2>&1")
        said = self._until(mark, seconds)
        status = self._until("\n", seconds)
        return int(status), said.strip()

    def shell(self, script: str, seconds: float = 60) -> str:
        """What it said; it must end well."""
        status, said = self.try_shell(script, seconds)
        assert status == 0, f"{script}: status {status}\n{said}"
        return said

    def until(self, script: str, seconds: float = BOOT_S) -> str:
        """Wait until the script ends well; what it said then."""
        end = time.monotonic() + seconds
        while True:
            status, said = self.try_shell(script)
            if status == 0:
                return said
            assert time.monotonic() < end, f"{script}: status {status} after {seconds} s\n{said}"
            time.sleep(0.5)

    def journal(self) -> str:
        """Of this boot."""
        return self.shell("journalctl --boot --no-pager --output=short-precise")

    def cut_power(self) -> None:
        """At once: no flush, no goodbye. What the disk was told to keep, it has."""
        self.process.kill()
        self.process.wait(20)

    def _send(self, line: str) -> str:
        """The shell is to run this; what it says right before the exit status.

        That isn't written as it will be read, since the terminal may echo it.
        """
        self._asked += 1
        self.line.sendall(f"{line}; echo =do''ne={self._asked}=$?\n".encode())
        return f"=done={self._asked}="

    def _until(self, mark: str, seconds: float) -> str:
        """What comes before the mark; the line has no echo and no line ends of a terminal."""
        end = time.monotonic() + seconds
        while mark not in self._read:
            left = end - time.monotonic()
            assert left > 0, f"no answer within {seconds} s: {self._read[-2_000:]}"
            self.line.settimeout(left)
            try:
                came = self.line.recv(65_536)
            except TimeoutError:
                continue
            assert came, f"the machine is off: {self.console.read_text(errors='replace')[-2_000:]}"
            self._read += came.decode(errors="replace").replace("\r", "")
        before, _, self._read = self._read.partition(mark)
        return before

    def log_in(self) -> None:
        """Wait for the shell, and make it one for programs."""
        end = time.monotonic() + BOOT_S
        while True:
            assert self.process.poll() is None, self.console.read_text(errors="replace")
            assert time.monotonic() < end, self.console.read_text(errors="replace")[-5_000:]
            mark = self._send("stty -echo -onlcr")
            with contextlib.suppress(AssertionError):
                self._until(mark, 2)
                break
        # One that doesn't edit its lines.
        self.line.sendall(b"exec sh\n")
        self._until(self._send("PS1=; PS2="), 20)
        self._until("\n", 20)


def accelerator() -> str:
    """How it computes: "tcg" is in software."""
    return os.environ.get("APPLIANCE_QEMU_ACCEL", "tcg")


@contextlib.contextmanager
def switched_on(disk: Path, boot: Path) -> Iterator[Machine]:
    """A machine with this disk, booted so far that it has a shell. `boot`: the folder with the
    kernel and its first file system. It goes off with the context."""
    (kernel,) = boot.glob("vmlinuz-*")
    (initrd,) = boot.glob("initrd.img-*")
    console = disk.with_suffix(".console")
    ours, its = socket.socketpair()
    command = [
        "qemu-system-x86_64", "-accel", accelerator(), "-cpu", "max,-arch-capabilities",
        "-smp", "2", "-m", "2048", "-nodefaults", "-no-reboot", "-display", "none", "-nic", "none",
        "-drive", f"file={disk},format=raw,if=virtio",
        "-kernel", str(kernel), "-initrd", str(initrd),
        "-append", "root=/dev/vda rw console=ttyS0 systemd.debug_shell=ttyS1 systemd.show_status=1",
        "-serial", f"file:{console}",

        "-chardev", f"socket,id=shell,fd={its.fileno()}", "-serial", "chardev:shell",
    ]  # fmt: skip
    with console.with_suffix(".qemu").open("wb") as said, its:
        process = subprocess.Popen(
            ["setpriv", "--pdeathsig", "KILL", *command],
            stdin=subprocess.DEVNULL, stdout=said, stderr=said, pass_fds=[its.fileno()],
        )  # fmt: skip
    machine = Machine(process, ours, console)
    try:
        machine.log_in()
        yield machine
    except BaseException:
        # Told now: soon it is off.
        print(console.read_text(errors="replace")[-3_000:])
        with contextlib.suppress(Exception):
            print("\n".join(machine.journal().splitlines()[-150:]))
        raise
    finally:
        machine.cut_power()
        ours.close()


def disk_of(root: Path, image: Path, more_mb: int = 1024) -> Path:
    """An ext4 disk with the files of `root`, and so much room beside them."""
    used = subprocess.run(["du", "-sm", str(root)], check=True, capture_output=True, text=True)
    size = int(used.stdout.split()[0]) * 11 // 10 + more_mb
    subprocess.run(
        ["mke2fs", "-q", "-t", "ext4", "-d", str(root), str(image), f"{size}M"], check=True
    )
    return image
