"""The reply under way, as the session keeps it: its task, its sound, its times."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

from brain.dialogue.outputs import Timings
from brain.dialogue.playback import Playback
from brain.dialogue.reply import Brief
from brain.dialogue.state import Kind
from brain.engines.ports import Ticket, ToolCall


@dataclass(frozen=True)
class Hearing:
    """When a spoken turn was spoken and heard. `voiced_at`: arrival of its last speech, in s."""

    turn: int
    voiced_at: float
    endpoint_ms: float
    stt_ms: float | None = None


@dataclass
class Active:
    """All times in seconds of the loop's clock."""

    kind: Kind
    brief: Brief
    ticket: Ticket
    playback: Playback
    started_at: float
    hearing: Hearing | None
    task: asyncio.Task[None] | None = None
    calls: list[ToolCall] = field(default_factory=list)
    seq: int = 0
    all_said: bool = False
    apologising: bool = False
    first_token_at: float | None = None
    first_clause_at: float | None = None
    first_audio_at: float | None = None

    def timings(self) -> Timings:
        hearing = self.hearing
        return Timings(
            endpoint=hearing.endpoint_ms if hearing else None,
            stt=hearing.stt_ms if hearing else None,
            llm_first_token=_ms(self.started_at, self.first_token_at),
            first_clause=_ms(self.started_at, self.first_clause_at),
            tts_first_audio=_ms(self.first_clause_at, self.first_audio_at),
            voice_to_voice_server=_ms(hearing.voiced_at if hearing else None, self.first_audio_at),
        )


def _ms(start: float | None, end: float | None) -> float | None:
    return None if start is None or end is None else round((end - start) * 1000, 1)
