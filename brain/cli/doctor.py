"""`brain doctor`: what is so on this machine, what is wrong, and what to do about it."""

from __future__ import annotations

import argparse
import json
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from brain.settings import Settings


def add_parser(commands: argparse._SubParsersAction, common: argparse.ArgumentParser) -> None:  # type: ignore[type-arg]
    """The command."""
    doctor = commands.add_parser(
        "doctor", parents=[common], help="say what is wrong here and what to do about it",
        epilog="Exit status: 0 all is well, 1 warnings, 2 errors.",
    )  # fmt: skip
    doctor.add_argument("--json", action="store_true", help="for scripts")
    doctor.add_argument(
        "--quick", action="store_true", help="don't read every model's bytes, nor run the preflight"
    )
    doctor.add_argument(
        "--plan-only",
        action="store_true",
        help="only reckon the memory that these settings take, on the profile's machine and here;"
        " the exit status is the former's, or that of settings that can't be used",
    )


def run(settings: Settings, args: argparse.Namespace) -> int:
    """Examine, print, and return the exit status: 0, 1 after warnings, 2 after errors."""
    if args.plan_only:
        return _plan(settings, as_json=args.json)
    from brain.ops.doctor import examine, findings
    from brain.settings import report

    if not args.json and sys.stderr.isatty():
        print("looking; models are read to the last byte (--quick doesn't) …", file=sys.stderr)
    facts = examine.gather(settings, quick=args.quick)
    found = examine.findings(settings, facts)
    if args.json:
        settled = json.loads(report.as_json(settings))
        more = {
            "profile": settled["profile"],
            "settings": settled["settings"],
            "ready": dict(facts.running.ready),
            "versions": dict(facts.versions),
        }
        print(findings.as_json(found, more))
    else:
        print("\n".join(findings.as_lines(found)))
        print(_SUMS[findings.worst(found)])
    return findings.exit_status(found)


def _plan(settings: Settings, *, as_json: bool) -> int:
    from brain.cli.failing import failed
    from brain.models.errors import ModelsError
    from brain.ops.memory import plans, show

    try:
        made = plans.plans(settings)
    except ModelsError as error:
        return failed(str(error))
    if as_json:
        print(json.dumps(show.as_document(made), indent=2, ensure_ascii=False))
    else:
        print("\n".join(show.as_lines(made[0])))
        for other in made[1:]:
            print(f"\n{other.machine.about}:")
            print("\n".join(show.sums(other)))
        for problem in settings.problems:
            print(f"{problem.severity}: {problem}", file=sys.stderr)
    # A plan of other values than were asked for must not look like theirs.
    verdicts = [made[0].verdict, *(problem.severity for problem in settings.problems)]
    return max({"ok": 0, "warning": 1, "error": 2}[verdict] for verdict in verdicts)


_SUMS = {
    "ok": "All is well.",
    "warning": "It works, but not as well as it could.",
    "error": "Something is wrong: the lines marked error say what, and what to do.",
}
