"""The real command `robot-client`, in a pipe or at a real (pseudo-)terminal."""

from __future__ import annotations

import asyncio
import fcntl
import os
import pty
import re
import signal
import sys
import termios
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

STAND_IN = Path(__file__).parent / "stand_in"
ADDRESS_NAMES = ("LOCAL_SERVER_", "BRAIN_TOKEN", "ROBOT_ID")


def environment(**extra: str) -> dict[str, str]:
    """Without what would name a brain, and with the stand-in for a sound card."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(ADDRESS_NAMES)}
    return kept | {"PYTHONPATH": str(STAND_IN), "TERM": "xterm"} | extra


async def client(
    *arguments: object, stdin: bytes = b"", extra: Mapping[str, str] | None = None
) -> tuple[int, str, str]:
    """In pipes: its status, its output and its errors."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "robot_client.cli", *map(str, arguments),
        env=environment(**extra or {}), stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    out, err = await process.communicate(stdin)
    assert process.returncode is not None
    return process.returncode, out.decode(), err.decode()


class Terminal:
    """A process on a terminal of 80 columns. `seen` is all that it wrote."""

    def __init__(self, process: asyncio.subprocess.Process, descriptor: int) -> None:
        self.process = process
        self.seen = ""
        self.modes_before = termios.tcgetattr(descriptor)
        self._descriptor = descriptor
        self._changed = asyncio.Event()
        asyncio.get_running_loop().add_reader(descriptor, self._read)

    def _read(self) -> None:
        try:
            data = os.read(self._descriptor, 4096)
        except OSError:  # the other side is closed
            data = b""
        if not data:
            asyncio.get_running_loop().remove_reader(self._descriptor)
        self.seen += data.decode()
        self._changed.set()

    def type(self, keys: str) -> None:
        os.write(self._descriptor, keys.encode())

    async def until(self, pattern: str, seconds: float = 20) -> None:
        """Until what it wrote has this; what came before the match is not looked at again."""
        end = time.monotonic() + seconds
        while (found := re.search(pattern, self.seen[self._at :])) is None:
            self._changed.clear()
            try:
                await asyncio.wait_for(self._changed.wait(), end - time.monotonic())
            except asyncio.TimeoutError:
                raise AssertionError(f"no {pattern!r} in {self.seen!r}") from None
        self._at += found.end()

    _at = 0

    async def ended(self, seconds: float = 10) -> int:
        """Its exit status; by then the terminal is as it was."""
        status = await asyncio.wait_for(self.process.wait(), seconds)
        assert termios.tcgetattr(self._descriptor) == self.modes_before
        return status

    @property
    def lines(self) -> list[str]:
        """What stands on the screen in the end, line by line."""
        screen = [""]
        for token in re.findall(r"\x1b\[K|\r\n|\r|[^\r\x1b]+", self.seen):
            if token == "\r\n":
                screen.append("")
            elif token == "\r":
                continue
            elif token == "\x1b[K":
                screen[-1] = ""
            else:
                screen[-1] += token
        return screen


def only(folder: Path) -> Path:
    """The one thing in a folder."""
    (found,) = folder.iterdir()
    return found


def _as_from_a_shell() -> None:
    """In the child: its terminal's Ctrl-C is for it, and no signal is ignored (as under nohup)."""
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)
    for number in (signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)


@asynccontextmanager
async def terminal(
    *arguments: object, extra: Mapping[str, str] | None = None
) -> AsyncIterator[Terminal]:
    """The command with its standard streams on a terminal of its own."""
    ours, theirs = pty.openpty()
    termios.tcsetwinsize(ours, (24, 80)) if hasattr(termios, "tcsetwinsize") else None
    try:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "robot_client.cli", *map(str, arguments),
            env=environment(**extra or {}), stdin=theirs, stdout=theirs, stderr=theirs,
            start_new_session=True, preexec_fn=_as_from_a_shell,
        )  # fmt: skip
        there = Terminal(process, ours)
        try:
            yield there
        finally:
            asyncio.get_running_loop().remove_reader(ours)
            if process.returncode is None:
                process.kill()
                await process.wait()
    finally:
        os.close(ours)
        os.close(theirs)
