"""The command `brain`. Nothing heavy is imported until a command needs it."""

from __future__ import annotations

import argparse
import logging
import os
import signal
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from brain import __version__

if TYPE_CHECKING:
    from brain.settings import Settings
    from brain.settings.layers import Assignment

# sysexits.h: what a service manager and a person can tell from other failures.
EXIT_CONFIG = 78
EXIT_INTERRUPTED = 130
COMMANDS = (
    "serve", "settings", "profile", "say", "listen", "plan", "models", "history", "doctor",
    "selftest", "support-bundle", "bench",
)  # fmt: skip

# They are asked because something is wrong, so that may not stop them.
_FOR_THE_SICK = ("doctor", "profile", "support-bundle")

log = logging.getLogger(__name__)


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit status.

    2 for a wrong command line, 78 for settings that can't be used (a line each on standard error),
    else the command's own.
    """
    parser = _parser()
    args = parser.parse_args(argv)
    if args.command is None:
        parser.print_help()
        return 0
    try:
        settings = _settings(args)
        if settings is None:
            return EXIT_CONFIG
        status = _run(settings, args)
        sys.stdout.flush()
    except KeyboardInterrupt:
        return EXIT_INTERRUPTED
    except BrokenPipeError:
        # `brain settings | head`: the reader has seen enough. Python would complain once more as it
        # flushes at the end, so that goes nowhere.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    return status


def _parser() -> argparse.ArgumentParser:
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument("--profile", help="the profile of settings (BRAIN_PROFILE)")
    common.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        dest="assignments",
        help="set any setting; may be given several times",
    )
    parser = argparse.ArgumentParser(
        prog="brain",
        description="Ears, a mind and a mouth for robots on the local network.",
        epilog="Settings come from the profile, /etc/brain/brain.env (or .env here, if there is no"
        " such file), /etc/brain/override.env, the environment and the command line; the last one"
        " that speaks of a setting decides. BRAIN_CONFIG_DIR names another folder than /etc/brain.",
    )
    parser.add_argument("--version", action="version", version=f"robot-brain {__version__}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND")

    serve = commands.add_parser("serve", parents=[common], help="serve robots")
    serve.add_argument("--host", help="address to bind (SERVER_HOST)")
    serve.add_argument("--port", help="port to bind (SERVER_PORT)")

    shown = commands.add_parser(
        "settings", parents=[common], help="show every setting and where it comes from"
    )
    shown.add_argument("--json", action="store_true", help="for scripts")
    shown.add_argument("--changed", action="store_true", help="only what isn't the default")

    say = commands.add_parser("say", parents=[common], help="speak a text into a WAV file")
    say.add_argument("text", help="what to say; - reads it from standard input")
    say.add_argument("--out", default="say.wav", help="the file (default: %(default)s)")
    say.add_argument("--voice", help="one of the engine's voices (default: its own)")

    listen = commands.add_parser("listen", parents=[common], help="write down a WAV file's speech")
    listen.add_argument("wav", help="the file: PCM of any rate and number of channels")

    plan = commands.add_parser("plan", parents=[common], help="plan for a world state")
    plan.add_argument("state", help="a JSON file, as for POST /plan; - reads standard input")
    plan.add_argument("--explain", action="store_true", help="show the prompt as well")

    history = commands.add_parser("history", help="look after what robots said and heard")
    history_commands = history.add_subparsers(
        dest="history_command", metavar="COMMAND", required=True
    )
    history_commands.add_parser(
        "list", parents=[common], help="show the robots whose conversation is kept"
    )
    forgotten = history_commands.add_parser(
        "forget", parents=[common], help="delete the conversation of a robot"
    )
    forgotten.add_argument("robot", help="its robot_id")

    from brain.cli.models import add_parser as add_models

    add_models(commands, common)

    from brain.cli.doctor import add_parser as add_doctor
    from brain.cli.profile import add_parser as add_profile
    from brain.cli.selftest import add_parser as add_selftest
    from brain.cli.support_bundle import add_parser as add_bundle

    add_doctor(commands, common)
    add_selftest(commands, common)
    add_profile(commands, common)
    add_bundle(commands, common)

    bench = commands.add_parser("bench", help="measure the brain")
    bench_commands = bench.add_subparsers(dest="bench_command", metavar="WHAT", required=True)
    turns = bench_commands.add_parser(
        "turns", parents=[common], help="latency of whole turns over a real socket"
    )
    turns.add_argument("--json", action="store_true", help="for scripts")
    plans = bench_commands.add_parser(
        "plan", parents=[common], help="the brain's own time on top of the engine, for plans"
    )
    plans.add_argument("--json", action="store_true", help="for scripts")
    plans.add_argument("--plans", type=_count, default=60, help="how many (default: %(default)s)")
    return parser


def _count(text: str) -> int:
    """A number of repetitions, for argparse."""
    count = int(text)
    if not 1 <= count <= 1_000_000:
        raise argparse.ArgumentTypeError(f"{count} is not within 1..1000000")
    return count


def _settings(args: argparse.Namespace) -> Settings | None:
    """The settings, or None after the reasons have been printed."""
    from brain.settings import SettingsError, load

    flags = _flags(args)
    if flags is None:
        return None
    try:
        settings = load(flags, lenient=True if args.command in _FOR_THE_SICK else None)
    except SettingsError as error:
        print(f"{error}", file=sys.stderr)
        if "can't be read: Permission denied" in str(error):
            print("brain: ask again with sudo", file=sys.stderr)
        return None
    if args.command not in ("serve", *_FOR_THE_SICK):  # which tell of them themselves
        for problem in settings.problems:
            print(f"{problem.severity}: {problem}", file=sys.stderr)
    return settings


def _flags(args: argparse.Namespace) -> list[Assignment] | None:
    """What the command line sets, or None after its mistake has been printed."""
    from brain.settings.layers import Assignment

    flags = []
    for text in args.assignments:
        name, equals, value = text.partition("=")
        if not equals:
            print(f"--set wants NAME=VALUE, not {text!r}", file=sys.stderr)
            return None
        flags.append(Assignment(name.strip(), value, "--set"))
    # The shorthands come last: they were typed for this very setting.
    for flag, name in (
        ("profile", "BRAIN_PROFILE"),
        ("host", "SERVER_HOST"),
        ("port", "SERVER_PORT"),
    ):
        value = getattr(args, flag, None)
        if value is not None:
            flags.append(Assignment(name, value, f"--{flag}"))
    return flags


def _run(settings: Settings, args: argparse.Namespace) -> int:
    if args.command == "settings":
        from brain.settings import report

        render = report.as_json if args.json else report.as_table
        print(render(settings, changed_only=args.changed))
        return 0
    from brain.ops import logs

    # The other commands are for people, who asked for a result and not for a log; what they need to
    # know of it is printed.
    level = settings.log_level if args.command == "serve" else "error"
    logs.configure(level, environ=os.environ)
    if args.command == "serve":
        return _serve(settings)
    if args.command == "say":
        from brain.cli.speech import say

        text = sys.stdin.read() if args.text == "-" else args.text
        return say(settings, text, out=args.out, voice=args.voice)
    if args.command == "listen":
        from brain.cli.speech import listen

        return listen(settings, args.wav)
    if args.command == "plan":
        from brain.cli.plan import plan

        return plan(settings, args.state, explain=args.explain)
    if args.command == "history":
        from brain.cli import history

        if args.history_command == "list":
            return history.list_robots(settings)
        return history.forget(settings, args.robot)
    if args.command == "models":
        from brain.cli.models import run as models

        return models(settings, args)
    if args.command == "doctor":
        from brain.cli.doctor import run as doctor

        return doctor(settings, args)
    if args.command == "support-bundle":
        from brain.cli.support_bundle import run as support_bundle

        return support_bundle(settings, args)
    if args.command == "profile":
        from brain.cli.profile import run as profile

        return profile(settings, args)
    if args.command == "selftest":
        from brain.cli.selftest import run as selftest

        return selftest(settings, args)
    if args.bench_command == "plan":
        from brain.ops.bench_plan import run as bench_plan

        return bench_plan(settings, json=args.json, plans=args.plans)
    from brain.ops.bench_turns import run as bench_turns

    return bench_turns(settings, json=args.json)


def _serve(settings: Settings) -> int:
    for problem in settings.problems:
        log.log(logging.getLevelName(problem.severity.upper()), "settings: %s", problem)
    # Until the server takes the signal itself, there is nothing to end in order. (SystemExit could
    # be lost: whatever is imported or loaded just then may catch everything.)
    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
    from brain.app import serve

    return serve(settings)
