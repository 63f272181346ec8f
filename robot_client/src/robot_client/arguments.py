"""The command line of `robot-client`."""

from __future__ import annotations

import argparse
from pathlib import Path


def parser() -> argparse.ArgumentParser:
    """The command line."""
    p = argparse.ArgumentParser(
        prog="robot-client",
        description="Talk to a Robot Brain. With --wav or --text it asks those, one after another, "
        "and ends; without, it uses microphone and speaker until Ctrl-C. 'robot-client simulate' "
        "plays supervisors instead: see 'robot-client simulate --help'.",
        epilog="Exit status: 0 all heard, 1 something wasn't heard, 2 bad arguments, files or "
        "devices, 69 no brain (not there, full, or it refused).",
    )
    server = p.add_argument_group("the brain")
    server.add_argument("--local-server-ip", default="127.0.0.1", metavar="HOST")
    server.add_argument("--local-server-port", type=int, default=8100, metavar="PORT")
    server.add_argument("--local-server-token", metavar="TOKEN", help="default: $BRAIN_TOKEN")
    server.add_argument("--tls", action="store_true", help="wss:// rather than ws://")
    server.add_argument("--robot-id", metavar="ID", help="the brain remembers a robot by its id")
    server.add_argument(
        "--wait",
        type=float,
        default=10.0,
        metavar="S",
        help="wait so long for a brain to be ready (default %(default)g)",
    )
    ask = p.add_argument_group("what to ask")
    ask.add_argument(
        "--wav",
        dest="asks",
        action="append",
        type=lambda path: ("wav", path),
        metavar="FILE",
        help="a question; may be given several times",
    )
    ask.add_argument(
        "--text",
        dest="asks",
        action="append",
        type=lambda words: ("text", words),
        metavar="WORDS",
        help="a typed question; may be given several times",
    )
    ask.add_argument(
        "--interrupt-after",
        type=float,
        metavar="MS",
        help="ask the next question when so much of a reply has come; "
        "the brain allows it only with --echo-cancellation",
    )
    ask.add_argument(
        "--patience",
        type=float,
        default=20.0,
        metavar="S",
        help="give a question up after so long without news (default %(default)g)",
    )
    ask.add_argument(
        "--noise",
        type=float,
        default=-60.0,
        metavar="DBFS",
        help="level of the room around the questions (default %(default)g)",
    )
    session = p.add_argument_group("the session")
    session.add_argument(
        "--echo-cancellation",
        action="store_true",
        help="this robot doesn't hear itself, so it may be interrupted by voice",
    )
    session.add_argument(
        "--tools",
        type=Path,
        metavar="FILE",
        help="JSON list of {name, description, parameters} to offer; "
        "they only print. Default: the brain's own list",
    )
    session.add_argument("--instructions", metavar="WORDS")
    session.add_argument("--voice", metavar="NAME")
    session.add_argument("--silence-ms", type=int, metavar="MS", help="silence that ends a turn")
    out = p.add_argument_group("what comes of it")
    out.add_argument(
        "--out",
        type=Path,
        metavar="FILE",
        help="the robot's voice, as WAV; beside it FILE.both.wav with the questions "
        "on the left and the replies on the right",
    )
    out.add_argument("--json", action="store_true", help="one JSON object a line, a summary last")
    return p
