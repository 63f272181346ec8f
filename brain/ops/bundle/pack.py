"""What is in a bundle, and packing it."""

from __future__ import annotations

import io
import json
import os
import re
import tarfile
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from brain.ops.bundle import around
from brain.ops.bundle.redact import Redactor
from brain.ops.doctor import findings, service
from brain.ops.doctor.facts import Facts
from brain.ops.doctor.findings import Finding
from brain.ops.doctor.programs import program
from brain.settings import Settings, report

_MOST_LOG = 4_000_000
"""Characters of the log, the newest."""
_LINES = 20_000
_KERNEL = re.compile(
    r"NVRM|Xid|nvgpu|nvmap|NvMap|gk20a|Out of memory|oom[-_]kill|thermal|throttl|I/O error|"
    r"EXT4-fs error|segfault|trap invalid opcode",
)
_UNITS = ("brain.service", "brain-last-resort.service", "brain-memory-prepare.service",
          "brain-jetson-clocks.service", "brain-nvidia-nodes.service")  # fmt: skip
_ABOUT = """A support bundle of a robot brain, made by `brain support-bundle`.

doctor.json     what the doctor found, and of which versions
settings.json   every setting, where it came from, and what was wrong; secrets are masked
ready.json      what the brain that runs says of its engines (empty: none ran)
health.json     the same, in the supervisor's form
units.txt       how systemd sees the brain's services
log.txt         the brain's log of the last 14 days, at most 4 MB, the newest
kernel.txt      what the kernel said of GPU, memory, heat and disks
machine.txt     processor, memory, GPU, network addresses, boots, as the machine's programs say
files.txt       names and sizes of models, of what is installed, and of what the brain keeps
install.txt     the end of the installer's log

Left out: whatever was said or heard ({speech} line(s) of the log), debug lines ({debug}), which may
have it, conversations and recordings. Tokens and keys are masked as ***.
"""


@dataclass(frozen=True)
class Log:
    """Lines of the log that may be shown; how many were speech or debug and may not."""

    lines: tuple[str, ...]
    speech: int = 0
    debug: int = 0


def contents(
    settings: Settings, facts: Facts, found: Sequence[Finding], redactor: Redactor
) -> dict[str, str]:
    """The bundle's files, by name, redacted. Asks systemd for its part."""
    log = presentable(service.journal("--lines", str(_LINES)))
    folders = [Path(facts.models.folder), *(Path(disk.folder) for disk in facts.machine.disks)]
    more = {
        "machine.txt": around.machine(),
        "files.txt": around.files(folders),
        "install.txt": around.installations(),
    }
    return redacted(settings, facts, found, log, _from_systemd() | more, redactor)


def redacted(
    settings: Settings,
    facts: Facts,
    found: Sequence[Finding],
    log: Log,
    more: Mapping[str, str],
    redactor: Redactor,
) -> dict[str, str]:
    """As `contents`, of what is given."""
    files = {
        "README.txt": _ABOUT.format(speech=log.speech, debug=log.debug),
        "doctor.json": findings.as_json(found, {"versions": dict(facts.versions)}),
        "settings.json": report.as_json(settings),
        "ready.json": _json(facts.running.ready),
        "health.json": _json(facts.running.health),
        "log.txt": "\n".join(log.lines)[-_MOST_LOG:] + "\n",
        **more,
    }
    return {name: redactor.clean(text) for name, text in files.items()}


def presentable(entries: Iterable[Mapping[str, Any]]) -> Log:
    """A journal's entries as lines, without those that hold speech, or may."""
    lines, speech, debug = [], 0, 0
    for entry in entries:
        if service.is_speech(entry):
            speech += 1
        elif service.is_debug(entry):
            debug += 1
        else:
            at = int(entry.get("__REALTIME_TIMESTAMP", 0)) / 1e6
            stamp = time.strftime("%Y-%m-%d %H:%M:%SZ", time.gmtime(at))
            who = entry.get("SYSLOG_IDENTIFIER", "")
            lines.append(f"{stamp} {who}[{entry.get('_PID', '')}]: {service.message(entry)}")
    return Log(tuple(lines), speech, debug)


def packed(files: Mapping[str, str], name: str) -> bytes:
    """A .tar.gz of `files` in a folder `name`."""
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w:gz") as archive:
        for file, text in files.items():
            data = text.encode("utf-8", "replace")
            about = tarfile.TarInfo(f"{name}/{file}")
            about.size, about.mode, about.mtime = len(data), 0o600, int(time.time())
            archive.addfile(about, io.BytesIO(data))
    return made.getvalue()


def write(data: bytes, file: Path, environ: Mapping[str, str]) -> None:
    """Write a bundle for its owner's eyes: who typed sudo is to send it. Raises OSError, also where
    there is such a file."""
    descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as out:
        out.write(data)
        user, group = environ.get("SUDO_UID", ""), environ.get("SUDO_GID", "")
        if os.geteuid() == 0 and user.isdecimal() and group.isdecimal():
            os.fchown(out.fileno(), int(user), int(group))


def _from_systemd() -> dict[str, str]:
    kernel = program("journalctl", "--dmesg", "--no-pager", "--quiet", "--lines", str(_LINES))
    told = [line for line in kernel.splitlines() if _KERNEL.search(line)]
    shown = [program("systemctl", "show", unit, "--property=Id,LoadState,ActiveState,SubState,"
                     "Result,ExecMainStatus,NRestarts,StatusText,ActiveEnterTimestamp,MemoryCurrent,"
                     "MemoryPeak,DropInPaths") for unit in _UNITS]  # fmt: skip
    return {"units.txt": "\n".join(shown), "kernel.txt": "\n".join(told[-500:]) + "\n"}


def _json(body: Mapping[str, Any]) -> str:
    return json.dumps(dict(body), indent=2, ensure_ascii=False)
