"""What the settings of attention do to a conversation, on scripted engines in virtual time."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import time

import numpy as np
import pytest

from brain.dialogue import events, outputs
from tests.dialogue.house import a_session, silence, speech
from tests.scripted_engines import ScriptedMind, ScriptedTranscriber
from tests.settings_effects.test_turns import house
from tests.virtual_time import run_virtual

SAID = np.concatenate((speech(800), silence(2_000)))


@pytest.mark.setting("THINKING_FILLER", "THINKING_FILLER_MS", "THINKING_FILLER_TEXTS")
@pytest.mark.parametrize(
    ("changes", "word", "after_s"),
    [
        ({}, None, 0),
        ({"thinking_filler": True}, "Hm.", 1.2),
        ({"thinking_filler": True, "thinking_filler_ms": 500}, "Hm.", 0.5),
        ({"thinking_filler": True, "thinking_filler_texts": " Well, |So."}, "Well,", 1.2),
        ({"thinking_filler": True, "thinking_filler_ms": 5_000}, None, 0),
    ],
)
def test_a_word_while_it_thinks(
    changes: dict[str, object], word: str | None, after_s: float
) -> None:
    async def main() -> None:
        mind = ScriptedMind(["It is five."], first_seconds=3.0)
        async with a_session(house=house(**changes), mind=mind) as robot:
            await robot.speak(SAID)
            await robot.until(outputs.ReplyDone)
            told = robot.all(outputs.FillerStarted)
            assert [output.text for output in told] == ([word] if word else [])
            if word:
                waited = robot.time_of(outputs.FillerStarted) - robot.time_of(outputs.SpeechStopped)
                assert waited == pytest.approx(after_s, abs=0.001)

    run_virtual(main())


@pytest.mark.setting("WAKE_PHRASES")
@pytest.mark.parametrize(
    ("phrases", "answered"), [("", True), ("hey reachy", False), ("hey reachy, hello robot,", True)]
)
def test_who_is_answered(phrases: str, answered: bool) -> None:
    async def main() -> None:
        ears = ScriptedTranscriber(["Hello robot, dance."])
        async with a_session(house=house(wake_phrases=phrases), ears=ears) as robot:
            await robot.speak(SAID)
            assert bool(robot.all(outputs.ReplyStarted)) == answered

    run_virtual(main())


@pytest.mark.setting("WAKE_WINDOW_S")
@pytest.mark.parametrize(("window_s", "answered"), [(0, 1), (2, 1), (4, 2), (60, 2)])
def test_how_long_a_conversation_goes_on_without_a_phrase(window_s: float, answered: int) -> None:
    async def main() -> None:
        rules = house(wake_phrases="hey reachy", wake_window_s=window_s)
        ears = ScriptedTranscriber(["Hey Reachy, dance.", "Once more."])
        async with a_session(house=rules, ears=ears) as robot:
            await robot.speak(SAID)
            await robot.until(outputs.ReplyDone)
            await asyncio.sleep(3.0)
            await robot.speak(SAID)
            assert len(robot.all(outputs.ReplyStarted)) == answered

    run_virtual(main())


@pytest.mark.setting("QUIET_HOURS", "QUIET_MAX_OUTPUT_TOKENS")
@pytest.mark.parametrize(
    ("hours", "most", "tokens"),
    [("", 96, None), ("22:00-07:00", 96, 96), ("22:00-07:00", 7, 7), ("07:00-22:00", 96, None)],
)
def test_when_it_is_quiet_and_how_much_is_said_then(
    hours: str, most: int, tokens: int | None
) -> None:
    async def main() -> None:
        mind = ScriptedMind(["Yes."])
        rules = house(quiet_hours=hours, quiet_max_output_tokens=most)
        rules = replace(rules, quiet=replace(rules.quiet, clock=lambda: time(23, 30)))
        async with a_session(house=rules, mind=mind) as robot:
            robot.session.post(events.Typed("hello"))
            await robot.until(outputs.ReplyDone)
        assert mind.options[0][1] == tokens
        assert ("quiet" in mind.asked[0][0][0].content) == (tokens is not None)

    run_virtual(main())


def test_quiet_never_means_longer_answers_than_otherwise() -> None:
    assert house(llm_max_output_tokens=30).quiet.max_tokens == 30
