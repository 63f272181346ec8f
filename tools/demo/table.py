"""The conversation as a table for a terminal. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence

from rich import box
from rich.markup import escape
from rich.table import Table

from robot_client.asking import Asked, Recording
from robot_client.turns import Reply

# The brain's own stages; what each counts is said below the table.
STAGES = {
    "endpoint": "silence",
    "stt": "hear",
    "llm_first_token": "1st token",
    "first_clause": "1st clause",
    "tts_first_audio": "1st audio",
}
CAPTION = (
    "Times in ms. Voice to voice: at the robot, from sending the last sample of speech to "
    "receiving the first of the reply. Silence: until the end of the turn is certain; while it "
    "lasts, the rest has begun, and what of it is ready waits. "
    "1st token, 1st clause: from the start of the reply. 1st audio: from the first clause."
)


def conversation(asked: Sequence[Asked]) -> Table:
    """One row a question: heard, called, said, and the latency by stage."""
    table = Table(
        caption=CAPTION,
        caption_justify="left",
        box=box.SIMPLE_HEAD,
        show_lines=True,
        padding=(0, 1),
    )
    table.add_column("the conversation", overflow="fold", ratio=1)
    table.add_column("voice\nto\nvoice", justify="right", style="bold", no_wrap=True)
    for name in STAGES.values():
        table.add_column(name.replace(" ", "\n"), justify="right", no_wrap=True)
    for one in asked:
        table.add_row(
            "\n".join(_lines(one)),
            _ms(one.voice_to_voice_ms),
            *_stages(first_timings(one)),
        )
    return table


def interruptions(recording: Recording) -> Iterator[str]:
    """How long the robot went on talking after somebody began to interrupt it, in sentences."""
    for at, flushed in recording.log.flushes:
        begun = [a.speech_started_at for a in recording.asked if a.speech_started_at is not None]
        since = max((start for start in begun if start < at), default=at)
        yield (
            f"The robot fell silent {(at - since) * 1000:.0f} ms after the first sample of the "
            f"interruption; {flushed.dropped_ms} ms that it had already got were dropped."
        )


def _lines(asked: Asked) -> Iterator[str]:
    yield f"heard: {escape(asked.heard)}" if asked.heard else "heard: [red]nothing[/]"
    for turn in asked.turns:
        yield from (escape(f"called: {u.call.name} {_compact(u.call.args)}") for u in turn.tools)
        yield from (f"said: {_said(reply)}" for reply in turn.replies if reply.text)


def first_timings(asked: Asked) -> Mapping[str, float]:
    """The brain's timings of the first reply that was to be heard.

    Where that is about a tool's result, silence and hearing are those of the reply that called it.
    """
    before: dict[str, float] = {}
    for turn in asked.turns:
        for reply in turn.replies:
            if reply.first_sound_at is not None:
                return {**before, **reply.timings_ms}
            of_the_turn = ("endpoint", "ahead", "stt")
            before.update({k: v for k, v in reply.timings_ms.items() if k in of_the_turn})
    return {}


def _said(reply: Reply) -> str:
    ending = "" if reply.reason == "completed" else f" [yellow]({reply.reason})[/]"
    return escape(reply.text) + ending


def _stages(timings: Mapping[str, float]) -> list[str]:
    return [_ms(timings.get(name)) for name in STAGES]


def _ms(value: float | None) -> str:
    return "" if value is None else f"{value:.0f}"


def _compact(args: str) -> str:
    try:
        value = json.loads(args)
    except ValueError:
        return args
    if not isinstance(value, dict):
        return args
    return " ".join(f"{key}={item}" for key, item in value.items())
