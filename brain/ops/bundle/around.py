"""What somebody far away would ask next: of the machine, of what is installed, of the files."""

from __future__ import annotations

import re
import stat
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from brain.ops.doctor.programs import program

INSTALLED = Path("/opt/robot-brain")
_MOST_LINES = 400
_NOISE = re.compile(r"Vulnerability |Ignoring |Processing |Looking in ")
"""Of lscpu and of pip."""
_MACHINE = (
    ("uname", "-srvm"),
    ("uptime",),
    ("lscpu",),
    ("free", "-m"),
    ("ip", "-brief", "address"),
    ("nvidia-smi",),
    ("nvpmodel", "-q"),
    ("journalctl", "--list-boots", "--no-pager", "--quiet"),
)


def machine() -> str:
    """What its own programs say of the machine; those that it hasn't are left out."""
    told = []
    for name, *arguments in _MACHINE:
        if said := program(name, *arguments):
            lines = [line for line in said.strip().splitlines() if not _NOISE.match(line)]
            lines = lines[-_MOST_LINES:]
            told.append("\n".join((f"$ {' '.join((name, *arguments))}", *lines, "")))
    return "\n".join(told) or "nothing was told\n"


def files(folders: Sequence[Path]) -> str:
    """Names, sizes in bytes and times of what lies in the folders, never what is in it."""
    lines: list[str] = []
    outer = [one for one in folders if not set(one.parents) & set(folders)]
    for folder in (*dict.fromkeys(outer), INSTALLED):
        lines.append(f"{folder}:")
        # (An installed version has thousands.)
        found = sorted(_below(folder, depth=1 if folder == INSTALLED else 4))
        lines += [_line(path, folder) for path in found[:_MOST_LINES]] or ["nothing, or closed"]
        lines.append("")
    return "\n".join(lines)


def installations() -> str:
    """The end of the installer's log."""
    try:
        text = (INSTALLED / "install.log").read_text("utf-8", "replace")
    except OSError as error:
        return f"none ({error.strerror})\n"
    told = [line for line in text.splitlines() if not _NOISE.match(line)]
    return "\n".join(told[-_MOST_LINES:]) + "\n"


def _below(folder: Path, *, depth: int) -> Iterator[Path]:
    try:
        inside = list(folder.iterdir())
    except OSError:
        return
    for path in inside:
        yield path
        if depth > 1 and path.is_dir() and not path.is_symlink():
            yield from _below(path, depth=depth - 1)


def _line(path: Path, folder: Path) -> str:
    name = str(path.relative_to(folder))
    try:
        about = path.lstat()
        target = f" -> {path.readlink()}" if path.is_symlink() else ""
    except OSError as error:
        return f"?  {name} ({error.strerror})"
    changed = time.strftime("%Y-%m-%d %H:%M:%SZ", time.gmtime(about.st_mtime))
    kind = stat.filemode(about.st_mode)
    return f"{kind} {about.st_uid:>5} {about.st_size:>12} {changed} {name}{target}"
