"""What happened, for people (lines) and for programs (JSON). Pure."""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from robot_client.asking import Asked, Recording
from robot_client.connection import Arrival, Disconnected, Stopped
from robot_client.conversation import Flushed, ToolUsed
from robot_client.messages import (
    AudioDelta,
    Emotion,
    ErrorMessage,
    Filler,
    Ready,
    ReplyDone,
    TranscriptAssistant,
    TranscriptUser,
    Unattended,
)

Seen = Arrival | ToolUsed | Flushed


def line(seen: Seen) -> str | None:
    """One line about what was seen; None for what is of no interest to a person."""
    event = seen.event if isinstance(seen, Arrival) else seen
    if isinstance(event, Ready):
        engines = ", ".join(
            f"{kind} {engine.name}{f' {engine.model}' if engine.model else ''}"
            f"{' (degraded, see /ready)' if engine.degraded else ''}"
            for kind, engine in event.engines.items()
        )
        again = ", resumed" if event.resumed else ""
        return f"ready   {event.profile or 'a brain'} [{engines}]{again}"
    if isinstance(event, TranscriptUser):
        return f"heard   {event.text}"
    if isinstance(event, Unattended):
        return "heard   nothing that is for the robot"
    if isinstance(event, Filler):
        return f"says    {event.text} (it thinks)"
    if isinstance(event, TranscriptAssistant):
        return f"said    {event.text}" if event.text else None
    if isinstance(event, Emotion):
        gestures = f" ({', '.join(event.gestures)})" if event.gestures else ""
        return f"feels   {event.name}{gestures}"
    if isinstance(event, ToolUsed):
        result = json.dumps(dict(event.outcome.output), ensure_ascii=False)
        return f"called  {event.call.name} {event.call.args} -> {result}"
    if isinstance(event, ReplyDone):
        return None if event.reason == "completed" else f"reply   {event.reason}"
    if isinstance(event, ErrorMessage):
        return f"error   {event.code}: {event.message}"
    if isinstance(event, Disconnected):
        return f"lost    {event.reason}; trying again in {event.retry_in_s:.1f} s"
    if isinstance(event, Stopped):
        return f"stopped {event.reason}"
    return None


class Lines:
    """As `line`; but a brain that is lost is told of once, however often it isn't found again."""

    def __init__(self) -> None:
        self._lost = False

    def line(self, seen: Seen) -> str | None:
        """One line about what was seen, or None."""
        event = seen.event if isinstance(seen, Arrival) else seen
        if isinstance(event, Disconnected):
            told, self._lost = self._lost, True
            return None if told else f"lost    {event.reason}; trying again until it is back"
        if isinstance(event, (Ready, Stopped)):
            self._lost = False
        return line(seen)


def stages(timings_ms: Mapping[str, float]) -> str:
    """The brain's own timings on one line."""
    return ", ".join(f"{name} {value:.0f}" for name, value in timings_ms.items())


def latency_line(asked: Asked) -> str:
    """The latency of one question: at the client, and by the brain's stages."""
    if asked.voice_to_voice_ms is None:
        return "latency no sound came back"
    first = next((r for t in asked.turns for r in t.replies if r.first_sound_at), None)
    by_stage = stages(first.timings_ms) if first else ""
    name = "voice to voice" if asked.question.sound is not None else "text to voice"
    return f"latency {name} {asked.voice_to_voice_ms:.0f} ms" + (
        f" (the brain's stages, ms: {by_stage})" if by_stage else ""
    )


def seen_as_json(seen: Seen, since: float, now: float) -> dict[str, Any]:
    """An event as a JSON object; `t` is seconds since `since`. Sound is given as its length."""
    at, event = (seen.at, seen.event) if isinstance(seen, Arrival) else (now, seen)
    kind = re.sub(r"(?<!^)(?=[A-Z])", "_", type(event).__name__).lower()
    if isinstance(event, AudioDelta):
        fields: dict[str, Any] = {
            "samples": len(event.pcm) // 2,
            "sample_rate": event.sample_rate,
            "reply_id": event.reply_id,
            "seq": event.seq,
        }
    else:
        fields = dataclasses.asdict(event)
    if isinstance(event, ToolUsed) and event.outcome.picture is not None:
        fields["outcome"]["picture"] = f"{len(event.outcome.picture)} characters of base64"
    return {"t": round(at - since, 4), "event": kind, **fields}


def summary(recording: Recording) -> dict[str, Any]:
    """The whole conversation as a JSON object; times are seconds since its start."""
    return {
        "event": "summary",
        "profile": recording.ready.profile if recording.ready else None,
        "stopped": recording.stopped,
        "questions": [_question(asked, recording.started_at) for asked in recording.asked],
        "errors": [
            {"t": round(at - recording.started_at, 4), "code": e.code, "message": e.message}
            for at, e in recording.log.errors
        ],
    }


def _question(asked: Asked, since: float) -> dict[str, Any]:
    ended = asked.speech_ended_at
    latency = asked.voice_to_voice_ms
    return {
        "question": asked.question.label,
        "started_s": round(asked.started_at - since, 4),
        "speech_ended_s": None if ended is None else round(ended - since, 4),
        "heard": asked.heard,
        "gave_up": asked.gave_up,
        "voice_to_voice_ms": None if latency is None else round(latency, 1),
        "replies": list(_replies(asked)),
    }


def _replies(asked: Asked) -> Iterator[dict[str, Any]]:
    for turn in asked.turns:
        results = {used.call.call_id: dict(used.outcome.output) for used in turn.tools}
        for reply in turn.replies:
            yield {
                "turn": turn.turn,
                "reply_id": reply.reply_id,
                "said": reply.text,
                "reason": reply.reason,
                "sound_ms": round(reply.sound_ms, 1),
                "timings_ms": dict(reply.timings_ms),
                "called": [
                    {"name": c.name, "args": c.args, "result": results.get(c.call_id)}
                    for c in reply.calls
                ],
            }
