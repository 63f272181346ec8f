"""What a command line of `robot-client` asks for, read and checked."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from robot_client import requests
from robot_client.address import Locator, brain_address
from robot_client.asking import RATE, Question
from robot_client.push_to_talk import key_named
from robot_client.requests import Session, ToolSpec, TurnDetection
from robot_client.tools import read_specs
from robot_client.wav import read_wav_at


@dataclass(frozen=True)
class Wanted:
    """What a command line asks for. `key`: push-to-talk, with this key.

    `locator` makes one that tells what it is given here which brain it has found.
    """

    locator: Callable[[Callable[[str], None]], Locator]
    token: str | None
    questions: list[Question]
    session: Session
    tools: list[ToolSpec]
    key: str | None


def read(args: argparse.Namespace) -> Wanted:
    """Raises `OSError`, `ValueError` for files, an address or a key that can't be used."""
    address = brain_address(
        args.local_server_ip,
        args.local_server_port,
        tls=args.tls,
        robot_id=args.robot_id,
        token=args.local_server_token,
    )
    try:
        tools = None if args.tools is None else read_specs(args.tools.read_text("utf-8"))
    except ValueError as error:
        raise ValueError(f"{args.tools}: {error}") from error
    questions = [_question(kind, value, args.interrupt_after) for kind, value in args.asks or ()]
    key = None if args.push_to_talk is None else key_named(args.push_to_talk)
    session = _session(args, tools, push_to_talk=key is not None)
    _sendable("the session (tools, instructions, voice)", lambda: requests.session(session))
    return Wanted(
        lambda say: Locator(address, say), address.token, questions, session, tools or [], key
    )


def _question(kind: str, value: str, interrupt_after_ms: float | None) -> Question:
    if kind == "text":
        _sendable(f"--text {value[:20]!a}", lambda: requests.text(value))
        return Question(value, words=value, interrupt_after_ms=interrupt_after_ms)
    sound = read_wav_at(value, RATE)
    return Question(Path(value).name, sound, interrupt_after_ms=interrupt_after_ms)


def _sendable(what: str, frame: Callable[[], str]) -> None:
    """Raises `ValueError` for what is no JSON in UTF-8, or too large."""
    try:
        size = len(frame().encode())
    except ValueError as error:
        raise ValueError(f"{what} can't be sent: {error}") from error
    if size > requests.MAX_MESSAGE_BYTES:
        raise ValueError(f"{what}: {size} bytes; the brain takes {requests.MAX_MESSAGE_BYTES}")


def _session(
    args: argparse.Namespace, tools: list[ToolSpec] | None, *, push_to_talk: bool
) -> Session:
    turn_detection: TurnDetection | Literal["push_to_talk"] | None = None
    if push_to_talk:
        turn_detection = "push_to_talk"
    elif args.silence_ms is not None:
        turn_detection = TurnDetection(args.silence_ms)
    return Session(
        input_sample_rate=RATE,
        output_sample_rate=RATE,
        instructions=args.instructions,
        voice=args.voice,
        tools=tools,
        turn_detection=turn_detection,
        playback_marks=True,
        echo_cancellation=args.echo_cancellation,
    )
