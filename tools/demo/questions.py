"""What the demo asks, and what ought to come of it.

The recordings are espeak-ng's, in voices, speeds and pitches that the pocket ears were not trained
on (brain/pocket/evaluation/ears.toml); the wordings are of the pocket repertoire.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent / "questions"


@dataclass(frozen=True)
class DemoQuestion:
    """A recorded question: its file, its words, who speaks (espeak-ng), and what is expected.

    calls, arguments: the tool that it must make the robot use, if any, and with what.
    interrupt_after_ms: the next question comes when so much of the reply has come.
    """

    file: str
    text: str
    voice: str
    rate: int
    pitch: int
    calls: str | None = None
    arguments: Mapping[str, Any] = field(default_factory=dict)
    interrupt_after_ms: float | None = None

    @property
    def path(self) -> Path:
        """Where its recording lies."""
        return FOLDER / self.file


NAME = DemoQuestion("name.wav", "What is your name?", "en-us+f5", 147, 46)
LOOK_LEFT = DemoQuestion(
    "look_left.wav", "Turn your head to the left.", "en+m4", 147, 46,
    calls="move_head", arguments={"direction": "left"},
)  # fmt: skip
STORY = DemoQuestion(
    "story.wav", "Tell me a story.", "en-us+linda", 147, 46, interrupt_after_ms=1500
)
STOP = DemoQuestion("stop.wav", "Stop talking.", "en-us+m7", 147, 46)

QUESTIONS = (NAME, LOOK_LEFT, STORY, STOP)
