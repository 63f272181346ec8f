"""All settings from all places, the last word winning, and each value's origin kept.

Lowest first: the defaults, the profile's file, `brain.env` (or `.env` in the working directory
where there is no such file), `override.env`, the process environment, the command line.
"""

from __future__ import annotations

import difflib
import os
import re
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from pydantic import SecretStr, ValidationError

from brain.settings.budget import excess, excess_of_vllm, reserved
from brain.settings.layers import (
    ENVIRONMENT,
    Assignment,
    Layer,
    environment_layer,
    file_layer,
    flags_layer,
    profile_layer,
    profile_names,
)
from brain.settings.layers import config_dir as config_dir_of
from brain.settings.model import SPECS, Settings
from brain.settings.problem import Problem

_PROFILE = "BRAIN_PROFILE"
_SHOWN_CHARACTERS = 80


class SettingsError(ValueError):
    """The settings can't be used as they are given. The message has one line for each problem."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        super().__init__("\n".join(problem.message for problem in problems))
        self.problems = tuple(problems)


def load(
    flags: Iterable[Assignment] = (),
    *,
    environ: Mapping[str, str] | None = None,
    config_dir: Path | None = None,
    working_dir: Path | None = None,
    lenient: bool | None = None,
) -> Settings:
    """Read the settings from everywhere.

    `flags` are what the command line sets. `environ`: the process environment by default.
    `config_dir`: the folder of `brain.env` and `override.env`; by default `$BRAIN_CONFIG_DIR`, else
    /etc/brain. `lenient`: a bad value falls to what holds without it (the profile's value, else
    the default) and is kept in `Settings.problems`; by default this is so under systemd.

    Raises `SettingsError` for a bad value, more of the GPU than `GPU_UTILIZATION_CAP` allows, an
    unreadable file, or a line that isn't an assignment, unless lenient. An unknown name is a
    problem of severity "warning" in both cases, save on the command line, where it is an error.
    """
    environ = os.environ if environ is None else environ
    if lenient is None:
        lenient = under_systemd(environ)
    layers = layers_above_the_profile(
        flags, environ, config_dir or config_dir_of(environ), working_dir or Path()
    )
    profile, profile_problems = _choose_profile(layers)
    layers.insert(0, profile_layer(profile))
    settings = _with_budget(resolve(layers, profile=profile, problems=profile_problems))
    errors = [problem for problem in settings.problems if problem.severity == "error"]
    if errors and not lenient:
        raise SettingsError(errors)
    return settings


def layers_above_the_profile(
    flags: Iterable[Assignment], environ: Mapping[str, str], config_dir: Path, working_dir: Path
) -> list[Layer]:
    """What may choose the profile, and change what it says; lowest first."""
    own = file_layer(config_dir / "brain.env", strict=True)
    if own is None:
        # A .env may serve other programs as well, so unknown names in it are not news.
        own = file_layer(working_dir / ".env", strict=False)
    return [
        own or Layer(),
        file_layer(config_dir / "override.env", strict=True) or Layer(),
        environment_layer(environ),
        flags_layer(flags),
    ]


def under_systemd(environ: Mapping[str, str]) -> bool:
    """Whether a service manager started this process, rather than a person at a terminal.

    INVOCATION_ID alone does not tell: a desktop's terminal inherits that of its own service.
    """
    by_systemd = "NOTIFY_SOCKET" in environ or "INVOCATION_ID" in environ
    return by_systemd and not (sys.stdin is not None and sys.stdin.isatty())


def resolve(layers: Sequence[Layer], *, profile: str, problems: Iterable[Problem] = ()) -> Settings:
    """The settings that `layers` (lowest first) amount to. Never raises for what is in them:
    what can't be used is left out, and is told of in the result's `problems`.

    `profile` is the one in force; where it comes from the layers still say.
    """
    found = list(problems)
    stacks: dict[str, list[Assignment]] = {}
    for layer in layers:
        found.extend(layer.problems)
        for assignment in layer.assignments:
            spec = SPECS.get(assignment.name)
            if spec is None:
                found.extend(_unknown_name(assignment, strict=layer.strict))
            elif assignment.value.strip() or spec.may_be_empty:
                stacks.setdefault(spec.name, []).append(assignment)
    stacks[_PROFILE] = [a for a in stacks.get(_PROFILE, []) if a.value.strip() == profile]

    settings, refused = _drop_until_valid(stacks)
    origins = {name: stack[-1].origin for name, stack in stacks.items() if stack}
    for assignment in refused:
        spec = SPECS[assignment.name]
        value = getattr(settings, spec.attribute)
        instead = f"{show(value) or 'nothing'} ({origins.get(spec.name, 'default')})"
        found.append(_refusal(assignment, spec.allowed, secret=spec.secret, instead=instead))
    return settings.with_account(origins, tuple(found))


def _with_budget(settings: Settings) -> Settings:
    """The settings, with a problem added if their vLLM engines would take too much of the GPU.

    The values stay as they are: it is the engine that isn't started (`brain.settings.budget`).
    """
    over = excess(settings)
    if not over:
        return settings
    name = "GPU_UTILIZATION_CAP"
    left_out = ["vLLM"] * bool(excess_of_vllm(settings))
    left_out += ["Orpheus"] * bool(reserved(settings).orpheus)
    instead = f"a brain without {' and '.join(left_out)}"
    problem = Problem("error", name, over, settings.origins[name], instead)
    return settings.with_account(settings.origins, (*settings.problems, problem))


def show(value: object) -> str:
    """A value as one would write it in an env file; of a secret only whether there is one."""
    if isinstance(value, SecretStr):
        return "********" if value.get_secret_value() else ""
    if isinstance(value, str):
        return without_credentials(value)
    if isinstance(value, bool):
        return "1" if value else "0"
    return repr(value).removesuffix(".0") if isinstance(value, float) else str(value)


def without_credentials(text: str) -> str:
    """`text` without name, password and query of an address in it: there may be a key in those."""
    return re.sub(r"(://[^\s?]*)\?[^\s'\"]+", r"\1?***", re.sub(r"://\S*@", "://***@", text))


def _drop_until_valid(
    stacks: dict[str, list[Assignment]],
) -> tuple[Settings, list[Assignment]]:
    """Take the topmost value of each stack, dropping those that the model refuses."""
    refused: list[Assignment] = []
    while True:
        values = {SPECS[name].attribute: stack[-1].value for name, stack in stacks.items() if stack}
        try:
            return Settings.model_validate(values), refused
        except ValidationError as error:
            # Ends: each round takes at least one value away, and the bare defaults are valid.
            attributes = {str(detail["loc"][0]) for detail in error.errors()}
            refused.extend(stacks[attribute.upper()].pop() for attribute in sorted(attributes))


def _choose_profile(layers: Sequence[Layer]) -> tuple[str, list[Problem]]:
    """The topmost profile that there is, and what was wrong with those above it."""
    refused: list[Assignment] = []
    names = profile_names()
    chosen = str(SPECS[_PROFILE].default)
    candidates = [a for layer in layers for a in layer.assignments if a.name == _PROFILE]
    for assignment in reversed(candidates):
        name = assignment.value.strip()
        if name in names:
            chosen = name
            break
        if name:
            refused.append(assignment)
    allowed = "one of " + ", ".join(names)
    return chosen, [_refusal(a, allowed, instead=chosen) for a in refused]


def _refusal(
    assignment: Assignment, allowed: str, *, secret: bool = False, instead: str = ""
) -> Problem:
    value = "(secret)" if secret else repr(without_credentials(assignment.value))
    if len(value) > _SHOWN_CHARACTERS:
        value = value[:_SHOWN_CHARACTERS] + "…"
    line = f"{assignment.name}={value} ({assignment.origin}) can't be used; allowed: {allowed}"
    return Problem("error", assignment.name, line, assignment.origin, instead)


def _unknown_name(assignment: Assignment, *, strict: bool) -> list[Problem]:
    # The less of a place is ours, the likelier is a similar name somebody else's.
    cutoff = 0.6 if strict else 0.9 if assignment.origin == ENVIRONMENT else 0.8
    near = difflib.get_close_matches(assignment.name.upper(), SPECS, n=1, cutoff=cutoff)
    if not near and not strict:
        return []
    line = f"{assignment.name} ({assignment.origin}) isn't a setting"
    if near:
        line += f"; did you mean {near[0]}?"
    typed = assignment.origin.startswith("--")
    return [Problem("error" if typed else "warning", assignment.name, line, assignment.origin)]
