"""The command line of `robot-client`."""

from __future__ import annotations

import argparse
import math
import os
from contextlib import suppress
from pathlib import Path

from robot_client.address import TRUE


def parser() -> argparse.ArgumentParser:
    """The command line. Defaults of the brain's address come from the environment."""
    p = argparse.ArgumentParser(
        prog="robot-client",
        description="Talk to a Robot Brain. With --wav or --text it asks those, one after another, "
        "and ends; with --chat it takes typed lines; without, it uses microphone and speaker until "
        "Ctrl-C. 'robot-client simulate' plays supervisors instead: see 'robot-client simulate "
        "--help'.",
        epilog="Exit status: 0 all heard, 1 something wasn't heard, 2 bad arguments, files or "
        "devices, 69 no brain (not there, full, or it refused), 78 a conversation with microphone "
        "and speaker was refused for good (a wrong token, say): a person must look.",
    )
    _add_brain(p.add_argument_group("the brain"))
    _add_asking(p.add_argument_group("what to ask"))
    _add_devices(p.add_argument_group("microphone and speaker"))
    _add_session(p.add_argument_group("the session"))
    _add_output(p.add_argument_group("what comes of it"))
    return p


def _duration(text: str) -> float:
    return _number(text, 0, math.inf, "a number from 0 up")


def _level(text: str) -> float:
    return _number(text, -300, 0, "a level in dB under full scale, from 0 down to -300")


def _number(text: str, lowest: float, highest: float, what: str) -> float:
    with suppress(ValueError):
        number = float(text)
        if math.isfinite(number) and lowest <= number <= highest:
            return number
    raise argparse.ArgumentTypeError(f"{text!r} isn't {what}")


def _environment(name: str) -> str | None:
    return os.environ.get(name) or None


def add_address(group: argparse._ArgumentGroup) -> None:
    """Where the brain is, and its token. Defaults come from the environment."""
    group.add_argument(
        "--local-server-ip",
        default=_environment("LOCAL_SERVER_IP") or "127.0.0.1",
        metavar="HOST",
        help="a name, an address, a URL (ws://, wss://), several of these with commas between (a "
        "fleet), or 'auto': the brain that announces itself on this network (default "
        "$LOCAL_SERVER_IP, or 127.0.0.1)",
    )
    group.add_argument(
        "--local-server-port",
        type=int,
        default=_environment("LOCAL_SERVER_PORT"),
        metavar="PORT",
        help="default $LOCAL_SERVER_PORT, or the one in the URL, or 8100",
    )
    group.add_argument(
        "--local-server-token",
        default=_environment("LOCAL_SERVER_TOKEN") or _environment("BRAIN_TOKEN"),
        metavar="TOKEN",
        help="better kept in $LOCAL_SERVER_TOKEN or $BRAIN_TOKEN, where no process list shows it",
    )
    group.add_argument(
        "--tls",
        "--local-server-tls",
        action="store_true",
        default=(_environment("LOCAL_SERVER_TLS") or "").lower() in TRUE,
        help="wss:// rather than ws:// (default $LOCAL_SERVER_TLS)",
    )


def _add_brain(group: argparse._ArgumentGroup) -> None:
    add_address(group)
    group.add_argument(
        "--robot-id",
        default=_environment("ROBOT_ID"),
        metavar="ID",
        help="the brain remembers a robot by its id (default $ROBOT_ID)",
    )
    group.add_argument(
        "--wait",
        type=_duration,
        default=10.0,
        metavar="S",
        help="a question or a line of --chat waits so long for a brain to be ready (default "
        "%(default)g); a conversation with microphone and speaker waits for ever",
    )
    group.add_argument(
        "--list-brains", action="store_true", help="the brains that announce themselves here"
    )


def _add_asking(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--wav",
        dest="asks",
        action="append",
        type=lambda path: ("wav", path),
        metavar="FILE",
        help="a question; may be given several times",
    )
    group.add_argument(
        "--text",
        dest="asks",
        action="append",
        type=lambda words: ("text", words),
        metavar="WORDS",
        help="a typed question; may be given several times",
    )
    group.add_argument(
        "--chat",
        action="store_true",
        help="typed lines at a prompt, or from a pipe, one answered after another",
    )
    group.add_argument(
        "--interrupt-after",
        type=_duration,
        metavar="MS",
        help="ask the next question when so much of a reply has come; "
        "the brain allows it only with --echo-cancellation",
    )
    group.add_argument(
        "--patience",
        type=_duration,
        default=20.0,
        metavar="S",
        help="give a question up after so long without news (default %(default)g)",
    )
    group.add_argument(
        "--noise",
        type=_level,
        default=-60.0,
        metavar="DBFS",
        help="level of the room around the questions (default %(default)g)",
    )


def _add_devices(group: argparse._ArgumentGroup) -> None:
    group.add_argument("--devices", action="store_true", help="list microphones and speakers")
    group.add_argument(
        "--microphone", metavar="NAME|INDEX", help="a part of its name, or its number"
    )
    group.add_argument("--speaker", metavar="NAME|INDEX", help="the same, or 'none'")
    group.add_argument(
        "--meter",
        action=argparse.BooleanOptionalAction,
        help="a line with the microphone's level and what the robot is about (default: at a "
        "terminal, without --json)",
    )
    group.add_argument(
        "--push-to-talk",
        nargs="?",
        const="space",
        metavar="KEY",
        help="the microphone is open from one press of a key (default space) to the next",
    )


def _add_session(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--echo-cancellation",
        action="store_true",
        help="this robot doesn't hear itself, so it may be interrupted by voice",
    )
    group.add_argument(
        "--tools",
        type=Path,
        metavar="FILE",
        help="JSON list of {name, description, parameters} to offer; "
        "they only print. Default: the brain's own list",
    )
    group.add_argument(
        "--instructions", metavar="WORDS", help="who the robot is (default: the brain's character)"
    )
    group.add_argument(
        "--voice",
        metavar="NAME",
        help="one of those in 'ready' (--json shows it; default: the first)",
    )
    group.add_argument("--silence-ms", type=int, metavar="MS", help="silence that ends a turn")


def _add_output(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--out",
        type=Path,
        metavar="FILE",
        help="the robot's voice, as WAV; beside it FILE.both.wav with the questions "
        "on the left and the replies on the right",
    )
    group.add_argument(
        "--record",
        type=Path,
        metavar="DIR",
        help="keep both sides while they go, in a new folder of DIR: mic.wav, speaker.wav, "
        "both.wav, timeline.jsonl",
    )
    group.add_argument("--json", action="store_true", help="one JSON object a line, a summary last")


def problem_with(args: argparse.Namespace) -> str | None:
    """What doesn't go together in these arguments, as a sentence; None if all does."""
    if args.chat and args.asks:
        return "--chat asks what is typed: it goes with neither --wav nor --text"
    if args.out is not None and not args.asks:
        return "--out needs something to ask: --wav or --text"
    if args.out is not None and (not args.out.name or args.out.is_dir()):
        return f"--out {args.out} is a folder; it takes the name of a file"
    if args.push_to_talk is not None and (args.chat or args.asks):
        return "--push-to-talk is for the microphone: it goes with neither --chat, --wav nor --text"
    if args.push_to_talk is not None and args.silence_ms is not None:
        return "--silence-ms is for turns that silence ends; with --push-to-talk a key does"
    if (args.microphone or "").lower() == "none" and not (args.chat or args.asks):
        return "a conversation needs a microphone; type with --chat"
    return None
