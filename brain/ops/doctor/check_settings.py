"""Which profile and settings are in force, where each came from, and what was wrong with them."""

from __future__ import annotations

from brain.ops.doctor.facts import Facts
from brain.ops.doctor.findings import Finding
from brain.settings import Settings, report

_ANY_ADDRESS = ("0.0.0.0", "::")  # noqa: S104 - named, not bound to


def check(settings: Settings, facts: Facts) -> list[Finding]:
    """Of the settings that this command read, and whether the brain that runs has the same."""
    profile = settings.brain_profile
    origin = settings.origins["BRAIN_PROFILE"]
    found = [Finding("ok", "profile", f"{profile} ({origin})")]
    found += _running(settings, facts)
    own = [
        f"{row.name}={row.value} ({row.origin})"
        for row in report.rows(settings)
        if row.origin not in ("default", f"profile {profile}") and row.name != "BRAIN_PROFILE"
    ]
    if own:
        found.append(Finding("ok", "settings", "; ".join(own)))
    for problem in settings.problems:
        severity = problem.severity
        todo = "put that line right, then restart the brain; docs/settings.md has every setting"
        if "can't be read: Permission denied" in problem.message:
            todo = "ask again with sudo"
        found.append(Finding(severity, "settings", str(problem), todo))
    if not settings.brain_token.get_secret_value() and settings.server_host in _ANY_ADDRESS:
        found.append(
            Finding(
                "note", "token", "anybody on this network may talk to the brain",
                "set BRAIN_TOKEN, if that isn't wanted",
            )
        )  # fmt: skip
    return found


def _running(settings: Settings, facts: Facts) -> list[Finding]:
    if any("can't be read" in problem.message for problem in settings.problems):
        return []  # so what is in force isn't known to the one who asks
    running, unit = facts.running, facts.service.unit
    restart = "sudo systemctl restart brain" if unit is not None else "restart the brain"
    if running.is_a == "brain" and running.ready.get("profile") != settings.brain_profile:
        told = f"the brain that runs has the profile {running.ready.get('profile')}"
        return [Finding("warning", "profile", told, restart)]
    if (
        unit is not None
        and unit.active == "active"
        and None not in (unit.since, facts.env_changed)
        and (facts.env_changed or 0) > (unit.since or 0)
    ):
        told = "the settings were changed after the brain was started"
        return [Finding("warning", "settings", told, restart)]
    return []
