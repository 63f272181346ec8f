"""Whether the brain runs, answers, and stays up."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from typing import Any

from brain.ops.doctor.facts import Facts, Incident, RunningBrain, Service, Unit
from brain.ops.doctor.findings import Finding

_RECENT_S = 24 * 3600
_LOG = "journalctl -u brain (brain support-bundle packs it)"
_WHY = (
    (r"oom-kill", "the machine ran out of memory: choose smaller models (LLM_MODEL_PATH)"),
    (
        r"/ILL|signal 4$",
        "a library was built for another CPU: build it here (deploy/, tools/setup.sh)",
    ),
    (r"watchdog", f"an engine or the event loop hung; where stands in {_LOG}"),
    (r"/KILL|signal 9$", "it was killed from outside: by hand, or for memory (journalctl -k)"),
    (r"\b78/|exit-code 78$", "the settings can't be used: brain settings says which"),
    (
        r"worn out|start-limit-hit",
        "mend what is said above, then sudo systemctl reset-failed brain, and start it",
    ),
)


def check(facts: Facts) -> list[Finding]:
    """Of the service, what answers at its address, and how it ended before."""
    return [
        *_service(facts.service, answers=facts.running.is_a == "brain"),
        *_port(facts.running, facts.service),
        *_crashes(facts.service, facts.machine.now),
        *_orpheus(facts.service, facts.machine.now),
    ]


def _service(service: Service, *, answers: bool) -> list[Finding]:
    """`answers`: the brain itself tells how its engines stand, and more of it than its unit."""
    unit = service.unit
    if not service.managed:
        return [Finding("note", "service", "no systemd runs this machine")]
    if unit is None:
        return [
            Finding("note", "service", "brain.service isn't installed",
                    "sudo deploy/install.sh --profile …, if the brain is to start by itself")
        ]  # fmt: skip
    # (What is down still has the status that it had.)
    alive = unit.active in ("active", "activating") and unit.sub != "auto-restart"
    told = f"{unit.active} ({unit.sub})" + (
        f": {unit.status}" if unit.status and alive and not answers else ""
    )
    if unit.active == "active":
        return [Finding("ok", "service", told)]
    if unit.sub == "auto-restart":
        ended = f"{told}: it ended ({_ending(unit)}) and is started again"
        return [Finding("error", "service", ended, _todo(_ending(unit)))]
    if unit.active in ("activating", "reloading", "deactivating"):
        return [Finding("note", "service", told, "wait, then ask again")]
    if unit.active == "failed":
        return [Finding("error", "service", f"{told}, {unit.result}", _todo(_ending(unit)))]
    return [Finding("error", "service", told, "sudo systemctl start brain")]


def _ending(unit: Unit) -> str:
    return f"{unit.result} {unit.exit_status}"


def _todo(what: str) -> str:
    return next((todo for words, todo in _WHY if re.search(words, what)), _LOG)


def _port(running: RunningBrain, service: Service) -> list[Finding]:
    if running.is_a == "other" and service.unit is not None and service.unit.active == "active":
        todo = "if the brain hangs, its watchdog starts it anew within a minute: ask again then"
        return [Finding("error", "port", f"{running.address}: {running.reason}", todo)]
    if running.is_a == "other":
        return [
            Finding("error", "port", f"{running.address}: {running.reason}",
                    "end the program that holds the port (sudo ss -ltnp), or set SERVER_PORT")
        ]  # fmt: skip
    if running.is_a == "busy":
        told = f"{running.address}: {running.reason}"
        return [Finding("warning", "port", told, "ask again in a moment; who asks so often?")]
    if running.is_a == "brain":
        return [Finding("ok", "port", f"{running.address} answers"), *_readiness(running)]
    told = f"{running.address}: {running.reason}"
    if service.unit is None:
        return [Finding("warning", "port", told, "brain serve")]
    if service.unit.active == "active":
        todo = (
            "is SERVER_PORT another than the brain was started with? sudo systemctl restart brain"
        )
        return [Finding("error", "port", told, todo)]
    return []  # that it doesn't run was said


def _readiness(running: RunningBrain) -> list[Finding]:
    found = []
    ready = running.ready
    if ready.get("stopping"):
        found.append(Finding("note", "ready", "it is going down"))
    elif loading := ready.get("loading"):
        told = f"still loading: {', '.join(loading)}; until then the embedded engines serve"
        found.append(Finding("note", "ready", told, "wait, then ask again"))
    history = ready.get("history") or {}
    if history.get("reason"):
        found.append(Finding("warning", "history", str(history["reason"]), _keep(history)))
    if history.get("note"):
        found.append(Finding("note", "history", str(history["note"])))
    return found


def _keep(history: Mapping[str, Any]) -> str:
    """What to do where conversations aren't kept."""
    if str(history["reason"]).startswith(("redis://", "rediss://")):
        return (
            "see that Redis runs there and can be reached from here, and that HISTORY_STORE has "
            "its address and its password; it is tried again by itself"
        )
    return "make room on the disk of STATE_DIR, and see that the brain's user may write there"


def _crashes(service: Service, now: float) -> list[Finding]:
    unit = service.unit
    if unit is None:
        return []
    if not service.log_readable:
        told = "the brain's log can't be read, or is empty"
        return [Finding("note", "crashes", told, "ask again with sudo")]
    found = []
    recent = [one for one in service.incidents if now - one.at < _RECENT_S]
    if recent:
        more = " or more" if len(recent) == len(service.incidents) > 1 else ""
        told = f"{len(recent)}{more} in the last 24 hours; the last: {_when(recent[-1])}"
        found.append(Finding("warning", "crashes", told, _todo(recent[-1].what)))
    elif service.incidents:
        told = f"none in 24 hours; the last: {_when(service.incidents[-1])}"
        found.append(Finding("note", "crashes", told, _todo(service.incidents[-1].what)))
    else:
        found.append(Finding("ok", "crashes", "none in the log"))
    if unit.restarts:
        told = f"systemd has restarted the brain {unit.restarts} time(s) since it was last started"
        found.append(Finding("warning" if recent else "note", "restarts", told))
    if service.reboots:
        told = f"brain-last-resort has restarted the machine {service.reboots} time(s)"
        found.append(Finding("warning", "restarts", told, _LOG))
    if service.last_error:
        found.append(Finding("note", "log", f"the last error: {service.last_error}"))
    return found


def _orpheus(service: Service, now: float) -> list[Finding]:
    """Of a voice that came to nothing and had to be loaded anew."""
    if not service.orpheus_anew:
        return []
    last = service.orpheus_anew[-1]
    recent = sum(now - one.at < _RECENT_S for one in service.orpheus_anew)
    times = f"loaded anew {recent} time(s) in 24 hours" if recent else "not loaded anew in 24 hours"
    told = f"{times}; the last: {_when(last)}"
    return [Finding("warning" if recent else "note", "orpheus", told, "do as it says")]


def _when(incident: Incident) -> str:
    shown = time.strftime("%Y-%m-%d %H:%M:%SZ", time.gmtime(incident.at)) + f", {incident.what}"
    return f"{shown}; its last words: {incident.said}" if incident.said else shown
