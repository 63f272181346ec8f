"""`robot-client`: talk to a brain from the command line, with WAV files, words, or a microphone."""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from robot_client.arguments import parser
from robot_client.asking import RATE, Asker, NoBrainError, Question, Recording
from robot_client.connection import Connection, brain_url
from robot_client.conversation import Conversation
from robot_client.demo_tools import demo_tools
from robot_client.devices import NoDeviceError, open_devices
from robot_client.pcm import resample, to_bytes
from robot_client.report import Seen, latency_line, line, seen_as_json, summary
from robot_client.requests import Session, ToolSpec, TurnDetection
from robot_client.tools import read_specs
from robot_client.wav import WavError, read_wav, write_wav

EXIT_OK, EXIT_NOT_HEARD, EXIT_USAGE, EXIT_NO_BRAIN = 0, 1, 2, 69


def main(arguments: Sequence[str] | None = None) -> int:
    """The command. Returns the exit status."""
    words = sys.argv[1:] if arguments is None else list(arguments)
    if words[:1] == ["simulate"]:
        from robot_client import simulate  # with the HTTP library, which a talk doesn't need

        return simulate.main(words[1:])
    p = parser()
    args = p.parse_args(words)
    if args.out is not None and not args.asks:
        p.error("--out needs something to ask: --wav or --text")
    try:
        tools = None if args.tools is None else read_specs(args.tools.read_text("utf-8"))
        questions = [
            _question(kind, value, args.interrupt_after) for kind, value in args.asks or ()
        ]
        session = _session(args, tools)
    except (OSError, ValueError) as error:
        where = f"{args.tools}: " if not isinstance(error, (OSError, WavError)) else ""
        print(f"robot-client: {where}{error}", file=sys.stderr)
        return EXIT_USAGE
    try:
        return asyncio.run(_run(args, questions, session, tools or []))
    except NoBrainError as error:
        print(f"robot-client: {error}", file=sys.stderr)
        return EXIT_NO_BRAIN
    except NoDeviceError as error:
        print(f"robot-client: {error}", file=sys.stderr)
        return EXIT_USAGE
    except KeyboardInterrupt:
        return EXIT_OK


def _question(kind: str, value: str, interrupt_after_ms: float | None) -> Question:
    if kind == "text":
        return Question(value, words=value, interrupt_after_ms=interrupt_after_ms)
    sound, rate = read_wav(Path(value))
    return Question(
        Path(value).name, resample(sound, rate, RATE), interrupt_after_ms=interrupt_after_ms
    )


def _session(args: argparse.Namespace, tools: list[ToolSpec] | None) -> Session:
    return Session(
        input_sample_rate=RATE,
        output_sample_rate=RATE,
        instructions=args.instructions,
        voice=args.voice,
        tools=tools,
        turn_detection=None if args.silence_ms is None else TurnDetection(args.silence_ms),
        playback_marks=True,
        echo_cancellation=args.echo_cancellation,
    )


async def _run(
    args: argparse.Namespace, questions: list[Question], session: Session, tools: list[ToolSpec]
) -> int:
    show = _shower(as_json=args.json)
    box = demo_tools(lambda words: None if args.json else print(f"        {words}"), tools)
    url = brain_url(args.local_server_ip, args.local_server_port, args.robot_id, tls=args.tls)
    token = args.local_server_token or os.environ.get("BRAIN_TOKEN")
    async with Connection(url, session=session, token=token) as connection:
        if not questions:
            return await _talk(connection, Conversation(connection, RATE, box, show))
        asker = Asker(connection, questions, box, watch=show,
                      noise_dbfs=args.noise, patience_s=args.patience)  # fmt: skip
        recording = await asker.run(args.wait)
    return _finish(args, recording)


def _shower(*, as_json: bool) -> Callable[[Seen], None]:
    since = time.monotonic()

    def show(seen: Seen) -> None:
        if as_json:
            print(json.dumps(seen_as_json(seen, since, time.monotonic())), flush=True)
        elif (words := line(seen)) is not None:
            print(words, flush=True)

    return show


async def _talk(connection: Connection, conversation: Conversation) -> int:
    """Microphone and speaker, until the connection gives up or Ctrl-C."""
    playback = conversation.playback
    with open_devices(
        RATE, lambda sound: connection.send_audio(to_bytes(sound)), playback.pull, playback.rate
    ):
        print("talk to the robot; Ctrl-C ends", file=sys.stderr)
        await conversation.run()
    return EXIT_NO_BRAIN


def _finish(args: argparse.Namespace, recording: Recording) -> int:
    if args.json:
        print(json.dumps(summary(recording)))
    else:
        for asked in recording.asked:
            heard = "nothing" if asked.heard is None else repr(asked.heard)
            print(f"{asked.question.label}: heard {heard}; {latency_line(asked)}")
    if args.out is not None:
        both = args.out.with_suffix(".both.wav")
        write_wav(args.out, RATE, recording.speaker)
        write_wav(both, RATE, recording.microphone, recording.speaker)
        print(f"saved {args.out} and {both}", file=sys.stderr)
    if recording.stopped is not None:
        print(f"robot-client: {recording.stopped}", file=sys.stderr)
        return EXIT_NO_BRAIN
    every = all(asked.heard is not None for asked in recording.asked)
    return EXIT_OK if every and recording.asked else EXIT_NOT_HEARD


if __name__ == "__main__":
    sys.exit(main())
