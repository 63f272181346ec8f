"""`robot-client`: talk to a brain from the command line, with WAV files, words, or a microphone."""

from __future__ import annotations

import argparse
import asyncio
import io
import json
import logging
import os
import signal
import sys
import time
from collections.abc import Callable, Coroutine, Sequence
from contextlib import ExitStack, closing, suppress
from pathlib import Path

from robot_client import devices
from robot_client.arguments import parser, problem_with
from robot_client.asking import RATE, Asker, NoBrainError, Recording
from robot_client.chat import Chat, lines_of
from robot_client.connection import Arrival, Connection
from robot_client.demo_tools import demo_tools
from robot_client.devices import NoDeviceError
from robot_client.discovery import find_brains
from robot_client.keys import NoKeysError
from robot_client.pcm import PCM
from robot_client.recorder import Recorder
from robot_client.report import Lines, Seen, latency_line, seen_as_json, summary
from robot_client.screen import Screen, ScreenLog, printable, terminal_screen
from robot_client.talking import Ends, Talk
from robot_client.tools import ToolBox
from robot_client.wanted import Wanted, read
from robot_client.wav import write_wav

EXIT_OK, EXIT_NOT_HEARD, EXIT_USAGE, EXIT_NO_BRAIN, EXIT_REFUSED = 0, 1, 2, 69, 78


def main(arguments: Sequence[str] | None = None) -> int:
    """The command. Returns the exit status."""
    _mend_streams()
    words = sys.argv[1:] if arguments is None else list(arguments)
    if words[:1] == ["simulate"]:
        from robot_client import simulate  # with the HTTP library, which a talk doesn't need

        return simulate.main(words[1:])
    p = parser()
    args = p.parse_args(words)
    if (problem := problem_with(args)) is not None:
        p.error(problem)
    try:
        wanted = read(args)
    except (OSError, ValueError) as error:
        return _failed(error, EXIT_USAGE)
    try:
        return asyncio.run(_until_signalled(_run(args, wanted)))
    except NoBrainError as error:
        return _failed(error, EXIT_NO_BRAIN)
    except (NoDeviceError, NoKeysError) as error:
        return _failed(error, EXIT_USAGE)
    except KeyboardInterrupt:
        return EXIT_OK
    except BrokenPipeError:  # whoever read the output has had enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return EXIT_OK


def _mend_streams() -> None:
    """Give this process the streams that it was started without; and any word can be shown."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, Path(os.devnull).open(mode, encoding="utf-8"))  # noqa: SIM115
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")  # a locale without UTF-8


def _failed(why: object, status: int) -> int:
    print(f"robot-client: {why}", file=sys.stderr)
    return status


async def _until_signalled(work: Coroutine[object, object, int]) -> int:
    """Ctrl-C, SIGTERM and a closed terminal end the work in good order; a second one at once.

    The process ends then, with status 0.
    """
    task = asyncio.ensure_future(work)
    loop = asyncio.get_running_loop()
    # Under nohup a hang-up is none of our business.
    numbers = [n for n in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, n)]
    handled = [
        number
        for name in numbers
        if signal.getsignal(number := getattr(signal, name)) != signal.SIG_IGN
    ]
    signalled = False

    def end() -> None:
        nonlocal signalled
        signalled = True
        for number in handled:
            loop.remove_signal_handler(number)
        task.cancel()

    for number in handled:
        with suppress(NotImplementedError):  # an event loop of Windows; Ctrl-C works there too
            loop.add_signal_handler(number, end)
    try:
        return await task
    except asyncio.CancelledError:
        if not signalled:
            raise
        # All is closed. A name server that doesn't answer holds a thread that can't be cancelled,
        # and that the interpreter would wait for: for 20 s and more.
        sys.stdout.flush()
        os._exit(EXIT_OK)


async def _run(args: argparse.Namespace, wanted: Wanted) -> int:
    if args.devices:
        print("\n".join(devices.device_table(devices.list_devices())))
        return EXIT_OK
    if args.list_brains:
        return await _list_brains()
    talks = not wanted.questions and not args.chat
    prompts = args.chat and sys.stdin.isatty() and sys.stderr.isatty()
    meter = talks and (not args.json if args.meter is None else args.meter)
    ends = _ends(args, wanted) if talks else None
    speaker = _chat_speaker(args) if args.chat else None
    with ExitStack() as stack:
        screen = stack.enter_context(closing(terminal_screen(live=prompts or meter)))
        logging.basicConfig(handlers=[ScreenLog(screen)], force=True)
        try:
            recorder = _recorder(args, screen, ends, speaker)
        except OSError as error:
            return _failed(f"--record: {error}", EXIT_USAGE)
        if recorder is not None:
            stack.enter_context(closing(recorder))
        show = _shower(screen, recorder, as_json=args.json)
        box = demo_tools(lambda w: None if args.json else screen.print(f"        {printable(w)}"),
                         wanted.tools)  # fmt: skip
        locate = wanted.locator(lambda words: screen.print(printable(words), aside=True))
        async with Connection(locate, session=wanted.session, token=wanted.token) as connection:
            if ends is not None:
                talk = Talk(connection, ends, box, screen,
                            wire_rate=RATE, watch=show, recorder=recorder)  # fmt: skip
                stopped = await talk.run()
                return EXIT_OK if stopped is None else _failed(stopped.reason, EXIT_REFUSED)
            if args.chat:
                chat = Chat(connection, speaker, box, screen, wire_rate=RATE, watch=show,
                            recorder=recorder, wait_s=args.wait,
                            patience_s=args.patience)  # fmt: skip
                stdin = sys.stdin.fileno()
                lost = await (chat.at_terminal(stdin) if prompts else
                              chat.from_lines(lines_of(stdin)))  # fmt: skip
                return EXIT_NOT_HEARD if lost else EXIT_OK
            return await _ask(args, wanted, connection, box, show, recorder)


async def _ask(
    args: argparse.Namespace,
    wanted: Wanted,
    connection: Connection,
    box: ToolBox,
    show: Callable[[Seen], None],
    recorder: Recorder | None,
) -> int:
    def record(microphone: PCM, speaker: PCM) -> None:
        if recorder is not None:
            recorder.microphone(microphone)
            recorder.speaker(speaker)

    asker = Asker(connection, wanted.questions, box, watch=show, noise_dbfs=args.noise,
                  patience_s=args.patience, on_frame=record)  # fmt: skip
    return _finish(args, await asker.run(args.wait))


def _ends(args: argparse.Namespace, wanted: Wanted) -> Ends:
    """Raises `NoDeviceError`."""
    microphone = devices.choose("input", args.microphone, RATE)
    return Ends(microphone, devices.choose("output", args.speaker, RATE), wanted.key)


def _chat_speaker(args: argparse.Namespace) -> devices.Port | None:
    """A speaker if there is one. Raises `NoDeviceError` if the one that was named isn't there."""
    try:
        return devices.choose("output", args.speaker, RATE)
    except NoDeviceError:
        if args.speaker is not None:
            raise
        return None


def _recorder(
    args: argparse.Namespace, screen: Screen, ends: Ends | None, speaker: devices.Port | None
) -> Recorder | None:
    """Raises `OSError`."""
    if args.record is None:
        return None
    speaker = ends.speaker if ends is not None else speaker
    recorder = Recorder(
        args.record,
        lambda words: screen.print(f"robot-client: {words}", aside=True),
        microphone_rate=RATE,
        speaker_rate=RATE if speaker is None else speaker.rate,
    )
    screen.print(f"recording in {recorder.folder}", aside=True)
    return recorder


def _shower(screen: Screen, recorder: Recorder | None, *, as_json: bool) -> Callable[[Seen], None]:
    since = time.monotonic()
    lines = Lines()

    def show(seen: Seen) -> None:
        now = time.monotonic()
        words = lines.line(seen)
        if recorder is not None:
            recorder.note(
                seen_as_json(seen, since, now), seen.at if isinstance(seen, Arrival) else now
            )
        if as_json:
            screen.print(json.dumps(seen_as_json(seen, since, now)))
        elif words is not None:
            screen.print(printable(words))

    return show


async def _list_brains() -> int:
    try:
        found = await find_brains()
    except OSError as error:
        return _failed(error, EXIT_NO_BRAIN)
    for brain in found:
        print(printable(str(brain)))  # its name is its own
    return EXIT_OK if found else _failed("no brain announces itself here", EXIT_NO_BRAIN)


def _finish(args: argparse.Namespace, recording: Recording) -> int:
    if args.json:
        print(json.dumps(summary(recording)))
    else:
        for asked in recording.asked:
            heard = "nothing" if asked.heard is None else repr(asked.heard)
            print(f"{asked.question.label}: heard {heard}; {latency_line(asked)}")
    if args.out is not None:
        both = args.out.with_suffix(".both.wav")
        try:
            write_wav(args.out, RATE, recording.speaker)
            write_wav(both, RATE, recording.microphone, recording.speaker)
        except OSError as error:
            return _failed(f"--out: {error}", EXIT_USAGE)
        print(f"saved {args.out} and {both}", file=sys.stderr)
    if recording.stopped is not None:
        return _failed(recording.stopped, EXIT_NO_BRAIN)
    every = all(asked.heard is not None for asked in recording.asked)
    return EXIT_OK if every and recording.asked else EXIT_NOT_HEARD


if __name__ == "__main__":
    sys.exit(main())
