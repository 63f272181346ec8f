"""`python -m tools.demo`: start a brain, let a robot talk to it, show what happened."""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from robot_client.address import brain_url
from robot_client.asking import RATE, Asker, NoBrainError, Question, Recording
from robot_client.connection import Connection
from robot_client.demo_tools import demo_tools
from robot_client.pcm import resample
from robot_client.report import Seen, line
from robot_client.requests import Session
from robot_client.wav import read_wav, write_wav
from tools.demo.brain_process import BrainError, BrainProcess, Ended
from tools.demo.picture import draw
from tools.demo.questions import QUESTIONS, DemoQuestion
from tools.demo.table import conversation, interruptions
from tools.demo.verdicts import complaints

READY_LIMIT_S = 120.0


def main(arguments: Sequence[str] | None = None) -> int:
    """The command. Returns 0 if all worked, 1 if something didn't."""
    parser = argparse.ArgumentParser(prog="python -m tools.demo", description=__doc__)
    parser.add_argument("--profile", default="pocket", help="the brain's profile (%(default)s)")
    parser.add_argument("--out", type=Path, default=Path("demo-out"), metavar="DIR",
                        help="where the recordings and the picture go (%(default)s)")  # fmt: skip
    args = parser.parse_args(arguments)
    console = Console(highlight=False)
    return asyncio.run(_demo(console, args.profile, args.out))


async def _demo(console: Console, profile: str, out: Path) -> int:
    brain = await BrainProcess.start(out / "brain.log", "--profile", profile)
    recording: Recording | None = None
    try:
        recording = await _talk(console, brain)
        ended = await brain.end()
    except (BrainError, NoBrainError) as error:
        brain.kill()
        await brain.process.wait()
        if recording is not None:
            _save(console, recording, out)
        return _failed(console, brain, [str(error)])
    _save(console, recording, out)
    console.print(_last_words(ended))
    wrong = _what_went_wrong(recording, ended)
    if wrong:
        return _failed(console, brain, wrong)
    console.print("[bold green]All of it worked.[/]")
    return 0


async def _talk(console: Console, brain: BrainProcess) -> Recording:
    with console.status("starting the brain") as status:
        took = await brain.until_ready(
            READY_LIMIT_S, lambda words: status.update(f"the brain: {words}")
        )
    console.print(f"The brain was ready after {took:.1f} s, on port {brain.port}.\n")
    # A robot whose speaker can't be heard by its microphone, as here, may say so.
    session = Session(
        input_sample_rate=RATE, output_sample_rate=RATE, playback_marks=True, echo_cancellation=True
    )
    url = brain_url("127.0.0.1", brain.port, "demo-robot")
    tools = demo_tools(lambda words: console.print(f"        [dim]{words}[/]"))
    async with Connection(url, session=session) as connection:
        asker = Asker(
            connection, [_question(q) for q in QUESTIONS], tools, watch=lambda s: _show(console, s)
        )
        return await asker.run()


def _question(question: DemoQuestion) -> Question:
    sound, rate = read_wav(question.path)
    return Question(
        question.text,
        resample(sound, rate, RATE),
        interrupt_after_ms=question.interrupt_after_ms,
    )


def _show(console: Console, seen: Seen) -> None:
    if (words := line(seen)) is not None:
        console.print(words, markup=False, soft_wrap=True)


def _save(console: Console, recording: Recording, out: Path) -> None:
    write_wav(out / "robot.wav", RATE, recording.speaker)
    write_wav(out / "both.wav", RATE, recording.microphone, recording.speaker)
    draw(recording, out / "conversation.png")
    console.print()
    console.print(conversation(recording.asked))
    for sentence in interruptions(recording):
        console.print(sentence)
    console.print(
        f"\nIn {out}/: both.wav (questions left, replies right), robot.wav (replies), "
        "conversation.png (the two sides over time, stages marked), brain.log",
        soft_wrap=True,
    )


def _last_words(ended: Ended) -> str:
    words = f"The brain ended {ended.seconds:.1f} s after SIGTERM with status {ended.exit_code}"
    if ended.peak_memory_mb is not None:
        words += f"; its memory was {ended.peak_memory_mb:.0f} MB at most"
    return words + "."


def _what_went_wrong(recording: Recording, ended: Ended) -> list[str]:
    wrong = []
    if recording.stopped is not None:
        wrong.append(f"the connection ended: {recording.stopped}")
    missing = QUESTIONS[len(recording.asked) :]
    wrong += [f"{question.text!r} was never asked" for question in missing]
    for question, asked in zip(QUESTIONS, recording.asked, strict=False):
        wrong += complaints(question, asked)
    if ended.exit_code != 0:
        wrong.append(f"the brain ended with status {ended.exit_code} after SIGTERM, not 0")
    return wrong


def _failed(console: Console, brain: BrainProcess, wrong: list[str]) -> int:
    console.print("\n[bold red]It didn't all work:[/]")
    for sentence in wrong:
        console.print(f"- {sentence}", markup=False, soft_wrap=True)
    console.print(f"\nThe end of {brain.log}:\n{brain.log_tail()}", markup=False, soft_wrap=True)
    return 1


if __name__ == "__main__":
    sys.exit(main())
