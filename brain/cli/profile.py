"""`brain profile`: which profile is in force and why, and choosing another."""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from brain.cli.failing import failed
from brain.settings.layers import ENVIRONMENT, profile_names

if TYPE_CHECKING:
    from brain.ops.profiles import Profile
    from brain.settings import Settings


def add_parser(commands: argparse._SubParsersAction, common: argparse.ArgumentParser) -> None:  # type: ignore[type-arg]
    """The command and its own commands."""
    profile = commands.add_parser("profile", help="show the profile in force, or choose another")
    own = profile.add_subparsers(dest="profile_command", metavar="COMMAND", required=True)
    shown = own.add_parser(
        "show", parents=[common], help="what is in force and why, and what others there are"
    )
    shown.add_argument("--json", action="store_true", help="for scripts")
    # (No --profile and --set: what is chosen is what a file will say.)
    use = own.add_parser("use", help="write the profile's one line into brain.env")
    use.add_argument("name", choices=profile_names(), metavar="PROFILE", help="%(choices)s")
    use.add_argument("--restart", action="store_true", help="and restart the brain's service")
    use.set_defaults(assignments=[])


def run(settings: Settings, args: argparse.Namespace) -> int:
    """Run one of them; returns the exit status: 0, or 1 where it couldn't be done."""
    if args.profile_command == "use":
        return _use(args.name, restart=args.restart)
    return _show(settings, args)


# -- use ---------------------------------------------------------------------------------------


def _use(name: str, *, restart: bool) -> int:
    from brain.ops import profiles
    from brain.settings import load
    from brain.settings.env_file import own_file, set_in_file
    from brain.settings.layers import config_dir

    file = config_dir(os.environ) / "brain.env"
    try:
        file = own_file(config_dir(os.environ), Path())
        set_in_file(file, "BRAIN_PROFILE", name)
    except OSError as error:
        reason = error.strerror or str(error)
        return failed(f"{file} can't be written ({reason}): run this with sudo, or as its owner")
    except UnicodeDecodeError:
        return failed(f"{file} isn't UTF-8 text: put it right first")
    print(f"{file}: BRAIN_PROFILE={name}")
    settings = load(lenient=True)
    if settings.brain_profile != name:
        origin = settings.origins["BRAIN_PROFILE"]
        # (The service has an environment of its own; what is in a shell's isn't in it.)
        whose = "the environment of this shell" if origin == ENVIRONMENT else origin
        return failed(
            f"but {whose} says {settings.brain_profile}, and overrules it: take that away"
        )
    for told in profiles.lacks(settings):
        print(f"- {told}")
    for row in profiles.own_settings(settings):
        print(f"- {row.name}={row.value} stays as it is, by {row.origin}")
    if not restart:
        how = ": sudo systemctl restart brain" if file.name == "brain.env" else " in this folder"
        print(f"It is in force when the brain starts anew{how}")
        return 0
    return _restart()


def _restart() -> int:
    sys.stdout.flush()  # of what was said so far, this is the end
    print("restarting; this returns when its engines are warm or given up on …", file=sys.stderr)
    try:
        done = subprocess.run(["systemctl", "restart", "brain.service"], check=False)  # noqa: S607
    except OSError as error:
        return failed(f"systemctl can't be run: {error.strerror}")
    if done.returncode:
        return failed("the brain didn't come up: brain doctor says why")
    print("The brain runs anew; brain doctor says how it stands.")
    return 0


# -- show --------------------------------------------------------------------------------------


def _show(settings: Settings, args: argparse.Namespace) -> int:
    from brain.models.errors import ModelsError
    from brain.ops import profiles
    from brain.ops.doctor import local_brain
    from brain.settings.layers import Assignment

    flags = [Assignment("BRAIN_PROFILE", args.profile, "--profile")] if args.profile else []
    said = profiles.said(os.environ, flags)
    running = local_brain.look(settings)
    serving = str(running.ready.get("profile", "")) if running.is_a == "brain" else ""
    own = profiles.own_settings(settings)
    try:
        known = profiles.profiles(settings)
    except (ModelsError, OSError) as error:
        return failed(str(error))
    name, origin = settings.brain_profile, settings.origins["BRAIN_PROFILE"]
    if args.json:
        document = {
            "profile": name, "origin": origin, "running": serving or None,
            "said": [{"value": one.value, "origin": one.origin} for one in said],
            "settings": {row.name: {"value": row.value, "origin": row.origin} for row in own},
            "lacks": profiles.lacks(settings), "profiles": [asdict(one) for one in known],
        }  # fmt: skip
        print(json.dumps(document, indent=2, ensure_ascii=False))
        return 0
    print(f"In force: {name}, by {_why(origin, named=bool(said))}.")
    for one in said:
        if one.value.strip() not in profile_names():
            print(f"- {one.origin} says {one.value}, and there is no such profile")
        elif one.origin != origin:
            print(f"- {one.origin} says {one.value}, and is overruled")
    if serving and serving != name:
        how = "of a service: sudo systemctl restart brain"
        print(f"The brain that runs has {serving}; a restart changes that ({how}).")
    elif serving:
        print("The brain that runs has it.")
    else:
        print(f"No brain runs at {running.address} ({running.reason}).")
    for problem in settings.problems:
        print(f"- {problem.severity}: {problem}")
    for told in profiles.lacks(settings):
        print(f"- {told}")
    if own:
        print("Set otherwise than in the profile:")
    for row in own:
        print(f"- {row.name}={row.value}, by {row.origin}")
    print("Profiles (brain profile use NAME):")
    for profile in known:
        print(_line(profile, in_force=profile.name == name))
    return 0


def _line(profile: Profile, *, in_force: bool) -> str:
    line = f"{'*' if in_force else ' '} {profile.name:<10} {profile.about}"
    if profile.missing:
        return f"{line}; not there: {', '.join(profile.missing)}"
    return f"{line}; models there" if profile.wants else line


def _why(origin: str, *, named: bool) -> str:
    return "default: nobody names another" if origin == "default" and not named else origin
