"""Whether words are the robot's own, as ears may have misheard and cut them."""

from __future__ import annotations

import pytest

from brain.dialogue.own_voice import without_own_voice

SPOKEN = "Once a robot looked up at the stars. It counted to ten and fell asleep."


@pytest.mark.parametrize(
    "heard",
    [
        SPOKEN,
        "looked up at the stars",
        "It counted to ten.",
        "bot looked up at the sta",  # cut off at both ends
        "once a robot looked at the star",  # misheard
        "Once a robert looked up",
        "STARS! It counted",
        "ten and fell a sleep",
    ],
)
def test_it_is(heard: str) -> None:
    assert without_own_voice(heard, SPOKEN) == ""


@pytest.mark.parametrize(
    ("heard", "left"),
    [
        ("", ""), ("...", ""), ("Stop!", "stop"), ("What time is it?", "what time is"),
        ("Stars. Uh-huh.", "uh huh"), ("asleep stars ten", ""),
        ("What is a robot for?", "what is for"), ("Do you like the stars", "do you like"),
    ],
)  # fmt: skip
def test_what_is_left_is_somebody_elses(heard: str, left: str) -> None:
    assert without_own_voice(heard, SPOKEN) == left


def test_nothing_was_said() -> None:
    assert without_own_voice("hello", "") == "hello"
