"""A brain under the system calls that `brain.service` leaves it, by libseccomp, as systemd does it.

python -m tests.deploy.confined serve ...
"""

from __future__ import annotations

import ctypes
import errno
import re
import subprocess
import sys
from pathlib import Path

UNIT = Path(__file__).parents[2] / "deploy" / "systemd" / "brain.service"
_ALLOW, _ERRNO = 0x7FFF0000, 0x00050000
_MASKED_EQUAL = 7
_WRITE, _EXEC = 2, 4


class _Compare(ctypes.Structure):
    _fields_ = (
        ("argument", ctypes.c_uint),
        ("operator", ctypes.c_int),
        ("a", ctypes.c_uint64),
        ("b", ctypes.c_uint64),
    )


def settings(name: str) -> list[str]:
    return re.findall(rf"^{name}=(.*)$", UNIT.read_text("utf-8"), flags=re.M)


def calls(group: str) -> set[str]:
    """The system calls of `@group`, as this machine's systemd has them."""
    told = subprocess.run(
        ["systemd-analyze", "syscall-filter", group], capture_output=True, text=True, check=True
    ).stdout
    found: set[str] = set()
    for line in told.splitlines()[1:]:
        name = line.strip()
        if name.startswith("@"):
            found |= calls(name)
        elif name and not name.startswith("#"):
            found.add(name)
    return found


def allowed() -> set[str]:
    """What the unit's SystemCallFilter= lines amount to."""
    found: set[str] = set()
    for line in settings("SystemCallFilter"):
        for group in line.removeprefix("~").split():
            found = found - calls(group) if line.startswith("~") else found | calls(group)
    return found


def confine() -> None:
    """From here on, this process and its children have what the unit leaves them."""
    seccomp = ctypes.CDLL("libseccomp.so.2")
    seccomp.seccomp_init.restype = ctypes.c_void_p
    denied = _ERRNO | errno.EPERM
    context = ctypes.c_void_p(seccomp.seccomp_init(ctypes.c_uint32(denied)))
    careful = settings("MemoryDenyWriteExecute") == ["yes"]
    for name in allowed():
        number = seccomp.seccomp_syscall_resolve_name(name.encode())
        if number < 0:
            continue  # of another architecture
        wrong = {"mmap": _WRITE | _EXEC, "mprotect": _EXEC}.get(name, 0) if careful else 0
        rules = [(bit, 0) for bit in (_WRITE, _EXEC) if wrong & bit] or [(0, 0)]
        for bit, value in rules:
            compare = (_Compare * 1)(_Compare(2, _MASKED_EQUAL, bit, value))
            added = seccomp.seccomp_rule_add_array(context, _ALLOW, number, bool(bit), compare)
            assert added == 0, name
    assert seccomp.seccomp_load(context) == 0


if __name__ == "__main__":
    confine()
    from brain.cli import main

    sys.exit(main())
