"""The machine that the brain is to run on: memory, GPU, clock, disks."""

from __future__ import annotations

import os
import platform
import re
import shutil
import time
from collections.abc import Mapping
from pathlib import Path

from brain.ops.doctor.facts import Disk, Gpu, Machine
from brain.ops.doctor.programs import program

_MIB = 1 << 20


def look(folders: Mapping[str, Path], root: Path = Path("/")) -> Machine:
    """The machine; `folders`, by what they are for, are those whose disks matter. Never raises."""
    memory = _meminfo(root / "proc/meminfo")
    l4t = _l4t(root / "etc/nv_tegra_release")
    total, available = memory.get("MemTotal"), memory.get("MemAvailable")
    board = _text(root / "proc/device-tree/model").strip("\0\n ")
    gpu = _nvidia() if not l4t else Gpu(board or "Jetson", f"L4T {l4t}", total, available, True)
    return Machine(
        system=f"{_release()}, Linux {platform.release()}, {platform.machine()}",
        now=time.time(),
        memory_gb=total,
        available_gb=available,
        gpu=gpu,
        l4t=l4t,
        clock_synchronized=_synchronized(root),
        disks=tuple(
            disk for what, folder in folders.items() if (disk := _disk(what, folder)) is not None
        ),
    )


def gpus_of(table: str) -> Gpu | None:
    """The first GPU of `nvidia-smi`'s table: name, driver, total and free MiB."""
    for line in table.splitlines():
        cells = [cell.strip() for cell in line.split(",")]
        if len(cells) == 4:
            total, free = (
                int(cell) * _MIB / 1e9 if cell.isdecimal() else None for cell in cells[2:]
            )
            return Gpu(cells[0], cells[1], total, free)
    return None


def _nvidia() -> Gpu | None:
    return gpus_of(
        program(
            "nvidia-smi", "--query-gpu=name,driver_version,memory.total,memory.free",
            "--format=csv,noheader,nounits",
        )
    )  # fmt: skip


def _meminfo(path: Path) -> dict[str, float]:
    """GB, by the kernel's names; it counts in KiB."""
    pairs = re.findall(r"^(\w+):\s+(\d+) kB$", _text(path), re.MULTILINE)
    return {name: int(kib) * 1024 / 1e9 for name, kib in pairs}


def _l4t(path: Path) -> str:
    """A Jetson's release, "36.4.3" of `# R36 (release), REVISION: 4.3, …`; "" elsewhere."""
    found = re.search(r"# R(\d+) \(release\), REVISION: ([\d.]+)", _text(path))
    return f"{found.group(1)}.{found.group(2)}" if found else ""


def _synchronized(root: Path) -> bool | None:
    """Whether the clock was set by the network since boot; None where nobody can tell."""
    if (root / "run/systemd/timesync/synchronized").exists():
        return True
    told = program("timedatectl", "show", "--property=NTPSynchronized", "--value").strip()
    return {"yes": True, "no": False}.get(told)


def _disk(what: str, folder: Path) -> Disk | None:
    try:
        there = next(path for path in (folder, *folder.parents) if path.exists())
        free = shutil.disk_usage(there).free / 1e9
        flags = os.statvfs(there).f_flag
    except (OSError, StopIteration):  # such as: it isn't for this user's eyes
        return None
    return Disk(what, str(folder), free, bool(flags & os.ST_RDONLY))


def _release() -> str:
    try:
        return platform.freedesktop_os_release().get("PRETTY_NAME", "Linux")
    except OSError:
        return platform.system()


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
