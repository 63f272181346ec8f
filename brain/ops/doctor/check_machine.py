"""Clock, disks, GPU, versions, and what deploy's preflight says of this kind of machine."""

from __future__ import annotations

import time
from collections.abc import Mapping

from brain.ops.doctor.facts import Disk, Facts, Machine
from brain.ops.doctor.findings import Finding, Severity

_OLDEST = 1_735_689_600.0
"""2025-01-01: a clock that shows less has never been set."""
_FULL_GB, _SCARCE_GB = 0.3, 2.0
_SEVERITIES: Mapping[str, Severity] = {"ok": "ok", "warning": "warning", "error": "error"}


def check(facts: Facts) -> list[Finding]:
    """Of the machine."""
    machine = facts.machine
    found = [_clock(machine), *(_disk(disk) for disk in machine.disks)]
    if machine.gpu is not None:
        gpu = machine.gpu
        size = f", {gpu.total_gb:.1f} GB" if gpu.total_gb is not None else ""
        shared = " shared with the CPU" if gpu.shared else ""
        found.append(Finding("ok", "gpu", f"{gpu.name}, {gpu.driver}{size}{shared}"))
    for one in facts.preflight:
        severity = _SEVERITIES.get(one["severity"], "note")
        found.append(Finding(severity, one["name"], one["found"], one["todo"]))
    listed = ", ".join(f"{name} {version}" for name, version in facts.versions.items())
    found.append(Finding("ok", "versions", f"{listed}; {machine.system}"))
    return found


def _clock(machine: Machine) -> Finding:
    shown = time.strftime("%Y-%m-%d %H:%M:%SZ", time.gmtime(machine.now))
    todo = "sudo timedatectl set-ntp true, or set it by hand: sudo date -s …"
    if machine.now < _OLDEST:
        told = f"{shown}: it was never set, so the log's times are wrong, and TLS fails"
        return Finding("warning", "clock", told, todo)
    if machine.clock_synchronized is False:
        return Finding("note", "clock", f"{shown}, set by nobody since the start", todo)
    synchronized = ", set by the network" if machine.clock_synchronized else ""
    return Finding("ok", "clock", f"{shown}{synchronized}")


def _disk(disk: Disk) -> Finding:
    told = f"{disk.what}: {disk.free_gb:.1f} GB free in {disk.folder}"
    todo = "make room: brain models prune shows what can go; journalctl --vacuum-size=100M"
    if disk.read_only:
        return Finding("error", "disk", f"{told}, which can't be written", "dmesg says why")
    if disk.free_gb < _FULL_GB:
        return Finding("error", "disk", told, todo)
    return Finding("warning" if disk.free_gb < _SCARCE_GB else "ok", "disk", told, todo
                   if disk.free_gb < _SCARCE_GB else "")  # fmt: skip
