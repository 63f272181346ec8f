"""What each event must do; a new kind of event gets a row."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from brain.dialogue import events
from brain.dialogue.effects import Effect
from brain.dialogue.state import State
from tests.dialogue import floor_duties as floor
from tests.dialogue import reply_duties as reply

Duty = Callable[[State, Any, State, tuple[Effect, ...]], None]

DUTIES: dict[type, Duty] = {
    events.Frame: floor.frame,
    events.Sound: floor.sound,
    events.Starved: floor.starved,
    events.EndUtterance: floor.end_utterance,
    events.Clear: floor.clear,
    events.Cancel: reply.cancel,
    events.Typed: reply.typed,
    events.Say: reply.say,
    events.IdleSignal: reply.idle,
    events.ChangeRules: floor.change_rules,
    events.Judged: reply.judged,
    events.Overheard: reply.overheard,
    events.Transcribed: reply.transcribed,
    events.Foreseen: reply.foreseen,
    events.PartlyHeard: reply.partly_heard,
    events.TranscriptionFailed: reply.ears_failed,
    events.CallMade: reply.call,
    events.ToolResult: reply.result,
    events.ToolPicture: reply.picture,
    events.ToolsOverdue: reply.overdue,
    events.SoundBegan: floor.sound_began,
    events.SoundEnded: floor.sound_ended,
    events.ReplyPlayed: reply.reply_played,
    events.ReplyFailed: reply.reply_failed,
    events.AttentionLapsed: reply.attention_lapsed,
    events.Hangup: reply.hangup,
}
