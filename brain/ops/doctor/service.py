"""What systemd and its journal know of the brain: how it stands, and how it ended before."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from brain.engines.tts.orpheus.hints import STARTED_ANEW
from brain.ops.doctor.facts import Incident, Service, Unit
from brain.ops.doctor.programs import program

UNIT = "brain.service"
_DAYS = 14
_MOST_LINES = 20_000
_MOST_INCIDENTS = 20
_LONGEST = 500
_WORN_OUT = "worn out: too many starts"
_BOOTED = "run/systemd/system"
_COUNTER = "var/lib/brain-last-resort/reboots"
SPEECH_LOGGER = "brain.speech"
"""What was said is logged, if at all, by the logger of this name."""

_EXITED = re.compile(r"Main process exited, code=(\w+), status=(\S+)")
_RESULT = re.compile(r"Failed with result '([\w-]+)'")
_FATAL = re.compile(r"Fatal Python error: .*")


def look(root: Path = Path("/")) -> Service:
    """How the brain's service stands. Never raises."""
    if not (root / _BOOTED).is_dir():
        return Service(managed=False)
    properties = (
        "LoadState,ActiveState,SubState,Result,ExecMainStatus,NRestarts,StatusText,"
        "ExecMainStartTimestampMonotonic"
    )
    shown = program("systemctl", "show", UNIT, f"--property={properties}")
    unit = unit_of(shown, booted_at=time.time() - time.monotonic())
    if unit is None:
        return Service(managed=True)
    entries = journal("--lines", str(_MOST_LINES))
    return Service(
        managed=True,
        unit=unit,
        log_readable=bool(entries),
        incidents=incidents(entries),
        last_error=last_error(entries),
        reboots=_reboots(root / _COUNTER),
        orpheus_anew=orpheus_anew(entries),
    )


def journal(*options: str) -> list[dict[str, Any]]:
    """The brain's journal of the last days, oldest first; empty where it can't be read."""
    text = program(
        "journalctl", "--unit", UNIT, "--unit", "brain-last-resort.service", "--output=json",
        "--no-pager", "--quiet", "--since", f"-{_DAYS} days", *options,
    )  # fmt: skip
    entries = []
    for line in text.splitlines():
        try:
            entry = json.loads(line)
        except ValueError:
            continue  # cut off in the middle
        if isinstance(entry, dict):
            entries.append(entry)
    return entries


def message(entry: Mapping[str, Any]) -> str:
    """The text of a journal's entry; one that isn't UTF-8 is a list of bytes there."""
    text = entry.get("MESSAGE")
    if isinstance(text, list):
        try:
            return bytes(text).decode(errors="replace")
        except (TypeError, ValueError):
            return ""
    return text if isinstance(text, str) else ""


def is_speech(entry: Mapping[str, Any]) -> bool:
    """Whether a line of the log holds what somebody said."""
    return SPEECH_LOGGER in message(entry).split(": ", 1)[0]


def is_debug(entry: Mapping[str, Any]) -> bool:
    """Whether a line is below INFO. What people say may be in it."""
    return str(entry.get("PRIORITY", "6")) == "7"


def may_be_speech(entry: Mapping[str, Any]) -> bool:
    """Whether a line isn't for others' eyes."""
    return is_speech(entry) or is_debug(entry)


def unit_of(shown: str, *, booted_at: float = 0.0) -> Unit | None:
    """The unit as `systemctl show` prints it; None if there is none of that name."""
    pairs = (line.partition("=") for line in shown.splitlines())
    values = {name: value.strip() for name, _, value in pairs}
    if values.get("LoadState", "not-found") in ("not-found", ""):
        return None
    started = _number(values.get("ExecMainStartTimestampMonotonic", ""))
    return Unit(
        active=values.get("ActiveState", ""),
        sub=values.get("SubState", ""),
        result=values.get("Result", ""),
        exit_status=_number(values.get("ExecMainStatus", "")),
        restarts=_number(values.get("NRestarts", "")),
        status=values.get("StatusText", ""),
        since=booted_at + started / 1e6 if started else None,
    )


def incidents(entries: Iterable[Mapping[str, Any]]) -> tuple[Incident, ...]:
    """The bad ends among a journal's entries, oldest first: how the process ended, by whom."""
    found: list[Incident] = []
    exited = fatal = said = ""
    for entry in entries:
        text = message(entry)
        if entry.get("SYSLOG_IDENTIFIER") != "systemd":
            if match := _FATAL.search(text):
                fatal = match.group()
            if text.strip() and not may_be_speech(entry):
                said = text.strip()[:_LONGEST]
            continue
        if match := _EXITED.search(text):
            exited = match.group(2)
        elif match := _RESULT.search(text):
            result = match.group(1)
            stopped = exited == "15/TERM"  # before it could take the signal itself: no bad end
            if stopped or (not exited and found and found[-1].what == _WORN_OUT):
                exited = fatal = said = ""
                continue
            parts = filter(None, (result, exited, fatal))
            told = ", ".join(dict.fromkeys(parts))
            found.append(Incident(_time(entry), told, said if result == "exit-code" else ""))
            exited = fatal = said = ""
        elif "start request repeated too quickly" in text.lower():
            # (systemd then says once more with what result the last start failed.)
            found.append(Incident(_time(entry), _WORN_OUT, found[-1].said if found else ""))
    return tuple(found[-_MOST_INCIDENTS:])


def last_error(entries: Sequence[Mapping[str, Any]]) -> str:
    """When the brain's last line of severity error or worse was that isn't speech, and the line; ""
    if there is none."""
    for entry in reversed(entries):
        ours = entry.get("SYSLOG_IDENTIFIER") != "systemd" and not may_be_speech(entry)
        if ours and _number(str(entry.get("PRIORITY", "6"))) <= 3:
            at = time.strftime("%Y-%m-%d %H:%M:%SZ", time.gmtime(_time(entry)))
            return f"{at}, {message(entry)[:_LONGEST]}"
    return ""


def orpheus_anew(entries: Iterable[Mapping[str, Any]]) -> tuple[Incident, ...]:
    """When Orpheus was loaded anew, oldest first, and why, with what to change."""
    found = []
    for entry in entries:
        _, line, why = message(entry).partition(STARTED_ANEW)
        if line and entry.get("SYSLOG_IDENTIFIER") != "systemd" and not may_be_speech(entry):
            found.append(Incident(_time(entry), why.strip()[:_LONGEST]))
    return tuple(found[-_MOST_INCIDENTS:])


def _time(entry: Mapping[str, Any]) -> float:
    return _number(str(entry.get("__REALTIME_TIMESTAMP", ""))) / 1e6


def _reboots(counter: Path) -> int:
    try:
        return _number(counter.read_text(encoding="ascii").strip())
    except (OSError, UnicodeDecodeError):
        return 0


def _number(text: str) -> int:
    return int(text) if text.isdecimal() else 0
