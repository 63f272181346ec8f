"""Which profile and settings are in force, where each came from, and what was wrong with them."""

from __future__ import annotations

from brain.engines.recipes.building import EMBEDDED
from brain.ops.doctor.facts import Facts
from brain.ops.doctor.findings import Finding
from brain.settings import Problem, Settings, report
from brain.settings.endpointing import unusable

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
    found += [_wrong(problem) for problem in settings.problems]
    if settings.llm_mmproj_path and settings.llm_model_path == EMBEDDED:
        blind = "LLM_MMPROJ_PATH is set, and the embedded model can't see"
        todo = "set LLM_MODEL_PATH to the model that it belongs to"
        found.append(Finding("warning", "settings", blind, todo))
    if settings.endpointing_model and settings.endpointing == "fixed":
        vain = "ENDPOINTING_MODEL is set, and ENDPOINTING=fixed asks no model"
        found.append(Finding("warning", "settings", vain, "set ENDPOINTING=adaptive"))
    if refused := unusable(settings):
        todo = "put that right; under systemd ENDPOINTING=fixed holds instead"
        found.append(Finding("error", "settings", refused, todo))
    return [*found, *_network(settings, facts), *_access(settings, facts)]


def _wrong(problem: Problem) -> Finding:
    todo = "put that line right, then restart the brain; docs/settings.md has every setting"
    if "can't be read: Permission denied" in problem.message:
        todo = "ask again with sudo"
    return Finding(problem.severity, "settings", str(problem), todo)


def _network(settings: Settings, facts: Facts) -> list[Finding]:
    """Whether robots on other machines can reach the brain, and where."""
    if facts.addresses:
        told = f"robots reach it at {', '.join(facts.addresses)}, port {settings.server_port}"
        return [Finding("ok", "network", told)]
    if facts.addresses is None:
        return []
    if settings.server_host in _ANY_ADDRESS:
        told = "this machine is in no network, so no robot reaches the brain"
        return [Finding("warning", "network", told, "plug it in, or join a Wi-Fi (nmcli device)")]
    told = f"no other machine reaches it: SERVER_HOST={settings.server_host}"
    return [Finding("note", "network", told, "SERVER_HOST=0.0.0.0 is every network")]


def _access(settings: Settings, facts: Facts) -> list[Finding]:
    """Who may come in, by the brain that runs, else by the settings."""
    told = facts.running.ready.get("access") or {}
    found = [_wrong(problem) for problem in facts.access_problems]
    if told.get("locked"):
        todo = (
            "one token a line into the file that is named above (the credential is /etc/brain/"
            "tokens), then sudo systemctl restart brain"
        )
        found.append(Finding("error", "token", "the brain lets nobody in: its token is lost", todo))
    if told.get("local_only"):
        todo = "put TLS_CERT and TLS_KEY right, then restart the brain"
        lost = "the brain is reached from this machine alone: its certificate can't be used"
        found.append(Finding("error", "tls", lost, todo))
    is_open = not told["token"] if "token" in told else facts.open_to_all
    # A service's credentials can be looked at while it runs only.
    unknown = "token" not in told and facts.service.unit is not None
    if (
        is_open
        and not unknown
        and not facts.access_problems
        and settings.server_host in _ANY_ADDRESS
    ):
        todo = "set BRAIN_TOKEN, if that isn't wanted"
        anybody = "anybody on this network may talk to the brain"
        found.append(Finding("note", "token", anybody, todo))
    return found


def _running(settings: Settings, facts: Facts) -> list[Finding]:
    if any("can't be read" in problem.message for problem in settings.problems):
        return []  # so what is in force isn't known to the one who asks
    running, unit = facts.running, facts.service.unit
    restart = "sudo systemctl restart brain" if unit is not None else "restart the brain"
    if running.is_a == "brain" and running.ready.get("profile") != settings.brain_profile:
        profile = running.ready.get("profile")
        told = f"the brain that runs has the profile {profile}"
        if unit is None:  # somebody typed `brain serve --profile …`
            restart = f"ask with --profile {profile}; `brain profile use {profile}` saves that"
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
