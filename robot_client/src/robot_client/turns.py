"""What happened in a conversation, turn by turn, and how long each stage took. Pure.

All times are `time.monotonic()` seconds at the client.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from robot_client.connection import Arrival
from robot_client.conversation import Flushed, ToolUsed
from robot_client.messages import (
    AudioDelta,
    ErrorMessage,
    ReplyDone,
    ReplyStarted,
    SpeechStarted,
    SpeechStopped,
    ToolCall,
    TranscriptAssistant,
    TranscriptAssistantDelta,
    TranscriptUser,
    Unattended,
)

# Errors after which no reply to this turn is to be expected.
TURN_ENDING_ERRORS = frozenset(
    {"not_understood", "stt_failed", "llm_busy", "llm_timeout", "llm_failed", "internal"}
)


@dataclass
class Reply:
    """One reply of the brain. `reason` is empty while it lasts; `sound_ms` is what was sent."""

    reply_id: int
    started_at: float
    first_sound_at: float | None = None
    done_at: float | None = None
    reason: str = ""
    said: str = ""
    clauses: list[str] = field(default_factory=list)
    calls: list[ToolCall] = field(default_factory=list)
    sound_ms: float = 0.0
    timings_ms: Mapping[str, float] = field(default_factory=dict)

    @property
    def text(self) -> str:
        """What it said; while it lasts, what it has begun to say."""
        return self.said or " ".join(self.clauses)


@dataclass
class Turn:
    """A turn of the user and the replies to it (more than one after a tool was used)."""

    turn: int
    opened_at: float
    speech_started_at: float | None = None
    speech_stopped_at: float | None = None
    heard_at: float | None = None
    heard: str | None = None
    unattended: bool = False
    replies: list[Reply] = field(default_factory=list)
    tools: list[ToolUsed] = field(default_factory=list)
    tool_used_at: float | None = None
    errors: list[ErrorMessage] = field(default_factory=list)

    @property
    def first_sound_at(self) -> float | None:
        """When the first sound of the first reply that has any came."""
        return min((r.first_sound_at for r in self.replies if r.first_sound_at), default=None)

    @property
    def speaking(self) -> bool:
        """Whether the user's speech has begun and not ended."""
        return self.speech_started_at is not None and (
            self.speech_stopped_at is None and self.heard_at is None
        )

    @property
    def answered(self) -> bool:
        """Whether nothing more is to come, but for the follow-up of a tool that is in use."""
        if self.unattended:
            return True
        if any(error.code in TURN_ENDING_ERRORS for error in self.errors) and not self.replies:
            return True
        return bool(self.replies) and all(reply.reason for reply in self.replies)

    @property
    def owes_follow_up(self) -> bool:
        """Whether the last reply called tools, so that one more reply should come."""
        if not self.replies:
            return False
        last = self.replies[-1]
        return bool(last.calls) and last.reason in ("completed", "")


def all_answered(turns: Sequence[Turn], now: float, quiet_since: float, patience_s: float) -> bool:
    """Whether nothing more is to come to these turns, of which there is at least one.

    A brain may keep the follow-up to a tool to itself: it is waited for half of `patience_s`, from
    the tool's end and from `quiet_since`, when something last happened.
    """
    if not turns or any(turn.speaking or not turn.answered for turn in turns):
        return False
    last = turns[-1]
    waited = now - max(last.tool_used_at or 0.0, quiet_since)
    return not last.owes_follow_up or waited > patience_s / 2


class TurnLog:
    """Sorts everything that happens into turns."""

    def __init__(self) -> None:
        self.turns: list[Turn] = []
        self.errors: list[tuple[float, ErrorMessage]] = []
        self.flushes: list[tuple[float, Flushed]] = []
        self._replies: dict[int, tuple[Turn, Reply]] = {}

    def add(self, at: float, event: object) -> None:
        """Take note of a message, `ToolUsed` or `Flushed` at this time."""
        if isinstance(event, SpeechStarted):
            self._turn(event.turn, at).speech_started_at = at
        elif isinstance(event, SpeechStopped):
            self._turn(event.turn, at).speech_stopped_at = at
        elif isinstance(event, TranscriptUser):
            turn = self._turn(event.turn, at)
            turn.heard, turn.heard_at = event.text, at
        elif isinstance(event, Unattended):
            self._turn(event.turn, at).unattended = True
        elif isinstance(event, ReplyStarted):
            self._reply(event.reply_id, at, event.turn)
        elif isinstance(event, ToolUsed):
            turn = self._reply(event.call.reply_id, at)[0]
            turn.tools.append(event)
            turn.tool_used_at = at
        elif isinstance(event, ErrorMessage):
            self.errors.append((at, event))
            if self.turns:
                self.turns[-1].errors.append(event)
        elif isinstance(event, Flushed):
            self.flushes.append((at, event))
        else:
            self._add_to_reply(at, event)

    def _add_to_reply(self, at: float, event: object) -> None:
        if isinstance(event, AudioDelta):
            reply = self._reply(event.reply_id, at)[1]
            if reply.first_sound_at is None:
                reply.first_sound_at = at
            reply.sound_ms += len(event.pcm) / 2 * 1000 / event.sample_rate
        elif isinstance(event, TranscriptAssistantDelta):
            self._reply(event.reply_id, at)[1].clauses.append(event.text)
        elif isinstance(event, TranscriptAssistant):
            self._reply(event.reply_id, at)[1].said = event.text
        elif isinstance(event, ToolCall):
            self._reply(event.reply_id, at)[1].calls.append(event)
        elif isinstance(event, ReplyDone):
            reply = self._reply(event.reply_id, at)[1]
            reply.reason, reply.done_at, reply.timings_ms = event.reason, at, event.timings_ms

    def add_arrival(self, arrival: Arrival) -> None:
        """As `add`, with the arrival's own time."""
        self.add(arrival.at, arrival.event)

    def _turn(self, number: int, at: float) -> Turn:
        for turn in reversed(self.turns):
            if turn.turn == number:
                return turn
        turn = Turn(number, at)
        self.turns.append(turn)
        return turn

    def _reply(self, reply_id: int, at: float, turn: int | None = None) -> tuple[Turn, Reply]:
        """The reply and its turn; a brain that announces neither gets one made up for it."""
        if reply_id not in self._replies or turn is not None:
            number = turn if turn is not None else (self.turns[-1].turn if self.turns else 0)
            owner, reply = self._turn(number, at), Reply(reply_id, at)
            owner.replies.append(reply)
            self._replies[reply_id] = (owner, reply)
        return self._replies[reply_id]
