"""What comes into a session's inbox beside the turn machine's events and a reply's progress."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from brain.dialogue import events, outputs, progress
from brain.dialogue.ears import Understood
from brain.dialogue.endpointer import Heeded
from brain.dialogue.filler import FillerDue
from brain.dialogue.speaking import CheckPlayback


@dataclass(frozen=True)
class Heard:
    """Sound of the microphone, int16 at the session's input rate."""

    samples: NDArray[np.int16]


@dataclass(frozen=True)
class Configure:
    """The session is to be changed; values are checked."""

    changes: Mapping[str, Any]


@dataclass(frozen=True)
class Shown:
    """A picture, a JPEG or PNG that was checked: for the next turn, or for a tool call."""

    picture: bytes
    call_id: str | None


@dataclass(frozen=True)
class Played:
    """A playback mark."""

    reply_id: int
    seconds: float


@dataclass(frozen=True)
class Refused:
    """A message that can't be taken; `turn`: it would have begun one."""

    problem: outputs.Problem
    turn: bool


@dataclass(frozen=True)
class HangUp:
    """The session is to end with this close code."""

    code: int
    reason: str


Item = (
    events.Event
    | progress.Progress
    | Refused
    | Heard
    | Shown
    | Configure
    | Played
    | CheckPlayback
    | FillerDue
    | HangUp
    | Understood
    | Heeded
)
