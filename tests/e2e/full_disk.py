"""The real brain (`in_haste`), whose STATE_DIR is a disk of its own that is full.

Needs Linux; as root, or as anybody where user namespaces are allowed.

    STATE_DIR=... python -m tests.e2e.full_disk serve ...
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import sys
from pathlib import Path

from brain.cli import main
from tests.e2e.in_haste import hurry

BALLAST = "ballast"
_SIZE = "512k"
_NEWNS, _NEWUSER = 0x00020000, 0x10000000
_REC, _PRIVATE = 0x4000, 0x40000


def make_room(pid: int, folder: Path) -> None:
    """On the disk of the process `pid`, seen from outside."""
    Path(f"/proc/{pid}/root{folder}/{BALLAST}").unlink()


def _full(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    libc = ctypes.CDLL(None, use_errno=True)
    user, group = os.geteuid(), os.getegid()
    _surely(libc.unshare(_NEWNS if user == 0 else _NEWNS | _NEWUSER))
    if user != 0:
        Path("/proc/self/setgroups").write_text("deny")
        Path("/proc/self/uid_map").write_text(f"0 {user} 1")
        Path("/proc/self/gid_map").write_text(f"0 {group} 1")
    _surely(libc.mount(b"none", b"/", None, _REC | _PRIVATE, None))
    _surely(libc.mount(b"none", str(folder).encode(), b"tmpfs", 0, f"size={_SIZE}".encode()))
    with contextlib.suppress(OSError), (folder / BALLAST).open("wb", buffering=0) as ballast:
        while ballast.write(bytes(4096)):
            pass


def _surely(result: int) -> None:
    if result != 0:
        error = ctypes.get_errno()
        raise OSError(error, os.strerror(error))


if __name__ == "__main__":
    hurry()
    _full(Path(os.environ["STATE_DIR"]))
    sys.exit(main())
