"""`brain selftest`: does it hear, think and speak, and how fast?"""

from __future__ import annotations

import argparse
from dataclasses import asdict
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from brain.settings import Settings


def add_parser(commands: argparse._SubParsersAction, common: argparse.ArgumentParser) -> None:  # type: ignore[type-arg]
    """The command."""
    selftest = commands.add_parser(
        "selftest", parents=[common], help="say a known clip to the brain, and judge its answer",
        epilog="To the brain that runs here; where none does, to one that is started for it. Exit"
        " status: 0 heard and answered in time; 1 slower than it should be, or not as asked; 2 not"
        " heard, not answered, or by a stand-in.",
    )  # fmt: skip
    selftest.add_argument("--json", action="store_true", help="for scripts")
    selftest.add_argument("--own", action="store_true", help="start one even if one runs")


def run(settings: Settings, args: argparse.Namespace) -> int:
    """Speak, judge, print; returns the exit status: 0, 1 after warnings, 2 after errors."""
    from brain.ops.doctor import findings
    from brain.ops.selftest.run import run as speak
    from brain.ops.selftest.verdict import targets, verdict

    outcome = speak(settings, own=args.own)
    target = targets().get(outcome.profile or settings.brain_profile)
    found = verdict(outcome, target, silence_ms=settings.vad_silence_ms)
    if args.json:
        print(findings.as_json(found, {"outcome": asdict(outcome)}))
    else:
        print("\n".join(findings.as_lines(found)))
    return findings.exit_status(found)
